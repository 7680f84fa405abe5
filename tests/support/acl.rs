//! The permissions that `docs/kafka.md` asks for, as an administrator grants them: its commands are read from
//! the page and run by Kafka's own tool.

use super::child;
use std::path::PathBuf;

const PAGE: &str = include_str!("../../docs/kafka.md");
/// The principal that the page writes.
const PRINCIPAL: &str = "User:agent";

/// One documented permission of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// The words of the command, without the program.
    words: Vec<String>,
    /// `Read`, `Write`.
    pub operation: String,
    /// Its topic, group or transactional id.
    pub object: String,
}

/// Every permission that the page lists, for the agent with this id.
pub fn documented(agent: &str) -> Vec<Permission> {
    let commands = PAGE.lines().filter_map(|line| line.strip_prefix("kafka-acls.sh "));
    let found: Vec<Permission> = commands.map(|command| permission(command, agent)).collect();
    assert!(!found.is_empty(), "docs/kafka.md holds no kafka-acls.sh commands");
    found
}

/// What the page says that the agent says without it: the dependency and the message; none where it says nothing.
pub fn message_without(permission: &Permission, agent: &str) -> Option<(String, String)> {
    let wanted = |row: &&str| {
        let row = row.replace("ID", agent);
        row.starts_with(&format!("| {} on ", permission.operation))
            && row.split('|').nth(1).unwrap_or_default().contains(&format!("`{}`", permission.object))
            && row.contains("transactional id") == permission.words.iter().any(|word| word == "--transactional-id")
            && row.contains("on group") == permission.words.iter().any(|word| word == "--group")
    };
    let row = PAGE.lines().find(wanted).unwrap_or_else(|| panic!("docs/kafka.md has no row for {permission:?}")).replace("ID", agent);
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    let (effect, message) = (cells[3], cells[4]);
    let quoted = |cell: &str| cell.split('`').nth(1).map(str::to_owned);
    quoted(effect).zip(quoted(message))
}

impl Permission {
    /// The same for another object, if it is for this one.
    pub fn move_from(&mut self, object: &str, other: &str) {
        for word in self.words.iter_mut().chain([&mut self.object]) {
            if *word == object {
                other.clone_into(word);
            }
        }
    }
}

fn permission(command: &str, agent: &str) -> Permission {
    let words: Vec<String> = command.split_whitespace().map(|word| word.replace("ID", agent)).collect();
    let after = |key: &str| words.iter().position(|word| word == key).and_then(|at| words.get(at + 1)).cloned();
    let object = after("--topic").or_else(|| after("--group")).or_else(|| after("--transactional-id"));
    let (operation, object) = after("--operation").zip(object).unwrap_or_else(|| panic!("not understood: kafka-acls.sh {command}"));
    Permission { words, operation, object }
}

/// Kafka's own tool, over a listener of a super user.
pub struct Administrator {
    /// The folder of Kafka's jars.
    pub jars: PathBuf,
    pub brokers: String,
}

impl Administrator {
    /// Grants it to a principal.
    pub fn grant(&self, permission: &Permission, principal: &str) {
        self.run(permission, principal, &[]);
    }

    /// Takes it away.
    pub fn revoke(&self, permission: &Permission, principal: &str) {
        self.run(permission, principal, &["--remove", "--force"]);
    }

    /// The groups and the transactional ids that the brokers know, one a line, among their tools' own words.
    pub fn groups_and_transactional_ids(&self) -> String {
        let of = |tool: &str, list: &str| {
            let classes = format!("{}/*", self.jars.display());
            let words = [
                "-Xmx128m",
                "-XX:TieredStopAtLevel=1",
                "-XX:+UseSerialGC",
                "-cp",
                &classes,
                tool,
                "--bootstrap-server",
                &self.brokers,
                list,
            ];
            child::output("java", &words).unwrap_or_else(|error| panic!("{error}"))
        };
        let groups = of("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--list");
        groups + "\n" + &of("org.apache.kafka.tools.TransactionsCommand", "list")
    }

    fn run(&self, permission: &Permission, principal: &str, instead_of_add: &[&str]) {
        let classes = format!("{}/*", self.jars.display());
        // A small heap and the quick compiler: it lives for a second.
        let mut words = vec!["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", classes.as_str()];
        words.push("org.apache.kafka.tools.AclCommand");
        for word in &permission.words {
            match word.as_str() {
                "--add" if !instead_of_add.is_empty() => words.extend(instead_of_add),
                "BROKER" => words.push(&self.brokers),
                PRINCIPAL => words.push(principal),
                other => words.push(other),
            }
        }
        child::output("java", &words).unwrap_or_else(|error| panic!("{error}"));
    }
}
