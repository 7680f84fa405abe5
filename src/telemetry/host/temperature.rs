//! What sensors measure: `/sys/class/hwmon` (Documentation/hwmon/sysfs-interface.rst), and where there is none
//! `/sys/class/thermal` (Documentation/driver-api/thermal/sysfs-api.rst). Many hosts, virtual ones above all, have neither.

use super::super::files::Files;
use super::super::value::Value;
use std::collections::BTreeMap;

const HWMON: &str = "/sys/class/hwmon/";
const THERMAL: &str = "/sys/class/thermal/";

/// Where a sensor is read, and how it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sensor {
    pub(super) name: String,
    path: String,
}

impl Sensor {
    /// In thousandths of a degree; none where it does not answer now.
    pub(super) fn read(&self, files: &mut Files) -> Option<Value> {
        files.read(&[&self.path])?.trim().parse().ok().map(Value::Thousandths)
    }
}

/// At most `most` sensors, each with a name of its own.
pub(super) fn sensors(files: &mut Files, most: usize) -> Vec<Sensor> {
    let mut found = chips(files);
    if found.is_empty() {
        found = zones(files);
    }
    found.truncate(most);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for sensor in &mut found {
        let again = seen.entry(sensor.name.clone()).or_default();
        *again += 1;
        if *again > 1 {
            sensor.name = format!("{} {again}", sensor.name);
        }
    }
    found
}

fn chips(files: &mut Files) -> Vec<Sensor> {
    let mut found = Vec::new();
    for chip in files.names(&[HWMON]) {
        let Some(name) = line(files, &[HWMON, &chip, "/name"]) else { continue };
        for file in files.names(&[HWMON, &chip]) {
            let Some(input) = file.strip_suffix("_input").filter(|input| input.starts_with("temp")) else { continue };
            let label = line(files, &[HWMON, &chip, "/", input, "_label"]);
            found.push(Sensor { name: format!("{name} {}", label.as_deref().unwrap_or(input)), path: format!("{HWMON}{chip}/{file}") });
        }
    }
    found
}

fn zones(files: &mut Files) -> Vec<Sensor> {
    let zones = files.names(&[THERMAL]).into_iter().filter(|zone| zone.starts_with("thermal_zone"));
    zones
        .filter_map(|zone| Some(Sensor { name: line(files, &[THERMAL, &zone, "/type"])?, path: format!("{THERMAL}{zone}/temp") }))
        .collect()
}

fn line(files: &mut Files, parts: &[&str]) -> Option<String> {
    files.read(parts).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::super::tree::Tree;
    use super::*;

    fn read(tree: &Tree) -> Vec<String> {
        let mut files = tree.files();
        let sensors = sensors(&mut files, 8);
        sensors.iter().map(|sensor| format!("{}: {:?}", sensor.name, sensor.read(&mut files))).collect()
    }

    #[test]
    fn chips_come_first_and_zones_where_there_is_none() {
        let tree = Tree::new();
        assert_eq!(read(&tree), [] as [&str; 0]);
        for (zone, kind, temp) in [("0", "x86_pkg_temp", "41000"), ("1", "acpitz", "-500"), ("2", "acpitz", "1")] {
            tree.write(&format!("/sys/class/thermal/thermal_zone{zone}/type"), &format!("{kind}\n"));
            tree.write(&format!("/sys/class/thermal/thermal_zone{zone}/temp"), &format!("{temp}\n"));
        }
        tree.write("/sys/class/thermal/cooling_device0/type", "Processor\n");
        let zones = ["x86_pkg_temp: Some(Thousandths(41000))", "acpitz: Some(Thousandths(-500))", "acpitz 2: Some(Thousandths(1))"];
        assert_eq!(read(&tree), zones);
        tree.write("/sys/class/hwmon/hwmon0/name", "coretemp\n");
        tree.write("/sys/class/hwmon/hwmon0/temp1_input", "52000\n");
        tree.write("/sys/class/hwmon/hwmon0/temp1_label", "Package id 0\n");
        tree.write("/sys/class/hwmon/hwmon0/temp2_input", "not now\n");
        tree.write("/sys/class/hwmon/hwmon0/fan1_input", "900\n");
        assert_eq!(read(&tree), ["coretemp Package id 0: Some(Thousandths(52000))", "coretemp temp2: None"]);
    }
}
