//! What the recordings of the CLI cannot say: files that are sent along, `extends`, `include`, profiles,
//! codes and places of errors, warnings.

use super::*;
use crate::domain::Code;
use spec::ServiceMode;

fn shipped(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
}

fn load_with(text: &str, env: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Loaded, StackError> {
    let stack = StackName::new("st").unwrap();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let files = shipped(files);
    let compose = [ComposeFile { name: "c.yml", text }];
    load(&Source {
        stack: &stack,
        files: &compose,
        env: &env,
        shipped: &files,
        binds: Binds::Refused,
        api: ApiVersion { major: 1, minor: 41 },
    })
}

fn environment(loaded: &Loaded, service: &str) -> Vec<String> {
    loaded.specs.services.iter().find(|spec| spec.name == service).unwrap().task.container.env.clone()
}

#[test]
fn a_service_extends_another_of_this_file_or_of_one_that_was_sent() {
    let other = "services: {base: {image: y, env_file: e.env, environment: {X: 1}}}";
    let text = "services:\n  a:\n    extends: {service: base, file: sub/o.yml}\n    environment: {X: 2}\n  b:\n    extends: a\n    environment: [Z=3]\n";
    let loaded = load_with(text, &[], &[("sub/o.yml", other), ("sub/e.env", "Q=q\n")]).unwrap();
    assert_eq!(environment(&loaded, "st_a"), ["Q=q", "X=2"]);
    assert_eq!(environment(&loaded, "st_b"), ["Q=q", "X=2", "Z=3"]);
}

#[test]
fn a_file_is_read_once_however_many_extend_it() {
    let other = "services: {base: {image: y, environment: {X: 1}}}";
    let children: String = (0..100).map(|n| format!("  s{n}: {{extends: {{service: base, file: o.yml}}}}\n")).collect();
    let loaded = load_with(&format!("services:\n{children}"), &[], &[("o.yml", other)]).unwrap();
    assert_eq!(loaded.specs.services.len(), 100);
}

#[test]
fn paths_of_one_include_are_merged_like_several_files() {
    let (first, second) = ("services: {b: {image: y, tty: true}}", "services: {b: {image: z}}");
    let text = "include: [{path: [o.yml, p.yml]}]\nservices: {}\n";
    let loaded = load_with(text, &[], &[("o.yml", first), ("p.yml", second)]).unwrap();
    let container = &loaded.specs.services[0].task.container;
    assert_eq!((container.image.as_str(), container.tty), ("z:latest", true));
}

#[test]
fn included_files_bring_their_own_objects() {
    let other = "services: {b: {image: y}}\nnetworks: {n: }\n";
    let loaded = load_with("include: [o.yml]\nservices: {a: {image: x, networks: [n]}}\n", &[], &[("o.yml", other)]).unwrap();
    let names: Vec<&str> = loaded.specs.services.iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names, ["st_a", "st_b"]);
    assert_eq!(loaded.specs.networks.iter().map(|network| network.name.as_str()).collect::<Vec<_>>(), ["st_default", "st_n"]);
}

#[test]
fn what_is_missing_can_be_asked_for_before() {
    let stack = StackName::new("st").unwrap();
    let text = "services: {a: {image: x, env_file: [{path: ./o.env, required: false}, e.env, f.env]}, b: {extends: {file: o.yml, service: c}}}\n\
        include: [i.yml, j.yml]\nsecrets: {s: {file: s}, t: {file: t}}\n";
    let (env, files) = (BTreeMap::new(), shipped(&[]));
    let compose = [ComposeFile { name: "c.yml", text }];
    let source = Source { stack: &stack, files: &compose, env: &env, shipped: &files, binds: Binds::Refused, api: ApiVersion::NEWEST };
    assert_eq!(Vec::from_iter(missing(&source)), ["e.env", "f.env", "i.yml", "j.yml", "o.env", "o.yml"], "there may be more in those");
    let text = "services: {a: {image: x}}\nsecrets: {s: {file: s}, t: {file: t}}\nconfigs: {c: {file: c}}\n";
    let compose = [ComposeFile { name: "c.yml", text }];
    assert_eq!(Vec::from_iter(missing(&Source { files: &compose, ..source })), ["c", "s", "t"]);
}

#[test]
fn what_the_command_line_has_merged_may_repeat_an_item() {
    let line = r#"{"services":{"s":{"image":"a:1","cap_drop":["ALL","ALL"],"dns":["1.1.1.1","1.1.1.1"]}}}"#;
    assert_eq!(load_with(line, &[], &[]).unwrap().specs.services.len(), 1);
    let error = load_with(&format!("{line}\n"), &[], &[]).unwrap_err();
    assert!(error.to_string().contains("stands in this list a second time"), "{error}");
}

#[test]
fn a_profile_must_be_asked_for() {
    let text = "services: {a: {image: x}, b: {image: x, profiles: [debug]}}\n";
    assert_eq!(load_with(text, &[], &[]).unwrap().specs.services.len(), 1);
    for (active, count) in [("x,debug", 2), ("x, debug ", 2), ("*", 2), ("x", 1), ("", 1)] {
        assert_eq!(load_with(text, &[("COMPOSE_PROFILES", active)], &[]).unwrap().specs.services.len(), count, "{active}");
    }
}

#[test]
fn older_keys_hold_where_deploy_is_silent() {
    let text = "services: {a: {image: x, scale: 3, mem_limit: 1m, cpus: 2, deploy: {resources: {limits: {cpus: '0.5'}}}}}\n";
    let spec = load_with(text, &[], &[]).unwrap().specs.services.remove(0);
    assert_eq!(spec.mode, ServiceMode::Replicated { replicas: Some(3) });
    let limits = spec.task.resources.and_then(|resources| resources.limits).unwrap();
    assert_eq!((limits.nano_cpus, limits.memory_bytes), (500_000_000, 1 << 20));
}

#[test]
fn external_objects_are_named_when_they_are_used() {
    let text = "services: {a: {image: x, networks: [n, h], secrets: [k]}}\n\
        networks: {n: {external: true}, h: {external: true, name: host}, unused: {external: true}}\n\
        secrets: {k: {external: true, name: kk}, l: {external: true}}\n";
    let external = load_with(text, &[], &[]).unwrap().specs.external;
    assert_eq!(external, External { networks: vec!["n".into()], secrets: vec!["kk".into()], configs: vec![] });
}

#[test]
fn errors_have_a_code_and_a_place() {
    let service = |body: &str| format!("services:\n  a:\n    image: x\n    {body}\n");
    for (text, code, place) in [
        (service("volumes: ['./x:/x']"), Code::RELATIVE_BIND, "c.yml:4:15: services.a.volumes.0:"),
        (service("volumes: ['~/x:/x']"), Code::RELATIVE_BIND, "c.yml:4:15: services.a.volumes.0:"),
        (service("env_file: [a, b]"), Code::COMPOSE_FILE_MISSING, "c.yml:4:16: services.a.env_file.0: the file \"a\""),
        (service("hostname: ${U:?set U}"), Code::COMPOSE_INTERPOLATION, "c.yml:4:15: services.a.hostname: the variable U"),
        (
            service("enviroment: {}"),
            Code::COMPOSE_INVALID,
            "c.yml:4:5: services.a.enviroment: is no key of this section: did you mean environment?",
        ),
        (
            "services:\n  a:\n    imgae: x\n    init: true\n".to_owned(),
            Code::COMPOSE_INVALID,
            "c.yml:3:5: services.a.imgae: is no key of this section: did you mean image?",
        ),
        (service("tty: true\n    tty: true"), Code::COMPOSE_INVALID, "c.yml:5:5: services.a: the key \"tty\""),
        (service("extends: a"), Code::COMPOSE_INVALID, "c.yml:4:14: services.a.extends: is a circle"),
        (service("networks: [n]"), Code::COMPOSE_INVALID, "c.yml:4:16: services.a.networks.0: there is no network \"n\""),
        ("services: [\n".to_owned(), Code::COMPOSE_INVALID, "c.yml:2:1: this is no valid YAML:"),
        ("a: &a [*a]\n".to_owned(), Code::COMPOSE_INVALID, "c.yml:1:8: a.0: this alias"),
        ("include: [o.yml]\nservices: {}\n".to_owned(), Code::COMPOSE_FILE_MISSING, "c.yml:1:11: include.0: the file \"o.yml\""),
    ] {
        let error = load_with(&text, &[], &[]).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().starts_with(place), "{error}");
    }
}

#[test]
fn nothing_is_dropped_in_silence() {
    let text = "services:\n  a:\n    image: x\n    depends_on: [b]\n    privileged: true\n    oom_score_adj: 5\n    secrets: [{source: k, foo: 1}]\n\
        \x20   networks: {default: {ipv4_address: 10.0.0.9}}\nsecrets: {k: {content: c}}\nname: n\n";
    let warnings = load_with(text, &[], &[]).unwrap().warnings;
    let keys: Vec<&str> = warnings.iter().map(|warning| warning.at.key.as_str()).collect();
    for key in ["depends_on", "privileged", "oom_score_adj", "secrets.0.foo", "networks.default.ipv4_address"] {
        assert!(keys.contains(&format!("services.a.{key}").as_str()), "{key}: {keys:?}");
    }
    assert!(keys.contains(&"name"), "{keys:?}");
}

#[test]
fn what_is_given_for_nothing_is_named() {
    let text = "services:\n  a:\n    image: x\n    restart: unless-stop\n    scale: 2\n    mem_limit: 5m\n    healthcheck: {disable: true, interval: 5s}\n    \
                deploy: {replicas: 3, restart_policy: {condition: any}, resources: {limits: {memory: 9m}}}\n    networks: [n]\n    secrets: [s]\n  \
                b: {image: x, restart: 'always:5'}\n\
                networks: {n: {external: true, driver: overlay, labels: {a: b}}}\nsecrets: {s: {external: true, file: f}}\n";
    let loaded = load_with(text, &[], &[]).unwrap();
    let keys: Vec<String> = loaded.warnings.iter().map(|warning| warning.at.key.clone()).collect();
    for key in [
        "services.a.restart",
        "services.a.scale",
        "services.a.mem_limit",
        "services.a.healthcheck.interval",
        "services.b.restart",
        "networks.n.driver",
        "networks.n.labels",
        "secrets.s.file",
    ] {
        assert!(keys.contains(&key.to_owned()), "{key}: {keys:?}");
    }
    assert_eq!(loaded.specs.services[0].task.restart_policy.as_ref().unwrap().condition, "any");
}

#[test]
fn the_files_as_one_have_the_numbers_that_they_had() {
    let text = "services: {a: {image: x, ulimits: {nofile: '$N'}, ports: [{target: 80, published: '$N'}], secrets: [{source: s, mode: '$N'}]}}\n\
                secrets: {s: {content: c}}\n";
    let env = [("N".to_owned(), "0100".to_owned())].into();
    let (stack, files) = (StackName::new("st").unwrap(), shipped(&[]));
    let compose = [ComposeFile { name: "c.yml", text }];
    let source = Source { stack: &stack, files: &compose, env: &env, shipped: &files, binds: Binds::Refused, api: ApiVersion::NEWEST };
    let (specs, line) = (load(&source).unwrap().specs, merged(&source).unwrap().line());
    let compose = [ComposeFile { name: "c.yml", text: &line }];
    let again = load(&Source { files: &compose, env: &BTreeMap::new(), ..source }).unwrap().specs;
    assert_eq!(serde_json::to_value(again).unwrap(), serde_json::to_value(specs).unwrap());
}

#[test]
fn nothing_shows_what_may_be_secret() {
    let env = [("P".to_owned(), "hunter2".to_owned())].into();
    let (stack, files) = (StackName::new("st").unwrap(), shipped(&[("f", "hunter2")]));
    let compose = [ComposeFile { name: "c.yml", text: "services: {a: {image: x, environment: [A=hunter2]}}\nsecrets: {k: {file: f}}\n" }];
    let source = Source { stack: &stack, files: &compose, env: &env, shipped: &files, binds: Binds::Refused, api: ApiVersion::NEWEST };
    assert!(!format!("{source:?}").contains("hunter2"));
    let secrets = load(&source).unwrap().specs.secrets;
    assert!(!format!("{secrets:?}").contains("hunter2"), "{secrets:?}");
}

#[test]
fn what_the_cli_would_make_something_else_of_is_named() {
    let text = "services:\n  a.b: {image: '$R-app:1', tmpfs: /t, secrets: [s, {source: s, target: two}], x-note: '${U:-d}'}\n  \
                plain: {image: 'x:${R}', oom_score_adj: 5}\nsecrets: {s: {file: s.txt}}\n";
    let loaded = load_with(text, &[("R", "reg")], &[("s.txt", "s")]).unwrap();
    let mut told: Vec<(&str, Rule)> = loaded.deviations.iter().map(|one| (one.service.as_str(), one.rule)).collect();
    told.sort_by_key(|(service, rule)| (service.to_owned(), format!("{rule:?}")));
    let expected = [("a.b", Rule::Forgotten), ("a.b", Rule::Order), ("a.b", Rule::Variables), ("plain", Rule::Forgotten)];
    assert_eq!(told, expected, "{:#?}", loaded.deviations);
    assert!(loaded.deviations[0].to_string().starts_with("D1: c.yml:2:"), "{}", loaded.deviations[0]);
    let many: String =
        (0..7).map(|n| format!("{{target: {n}, published: {n}}}, {{target: {n}, published: {n}, protocol: udp}}, ")).collect();
    let ports = |text: &str| load_with(&format!("services: {{a: {{image: x, ports: [{text}]}}}}"), &[], &[]).unwrap().deviations;
    assert_eq!(ports(&many.replace("published: 0", "published: 9")).len(), 1);
    assert_eq!(ports("{target: 1, published: 1}, {target: 1, published: 1, protocol: udp}"), []);
    let files = ["services: {a: {image: x, read_only: true}}", "services: {a: {read_only: false}}"];
    let compose = files.map(|text| ComposeFile { name: "c.yml", text });
    let (stack, env, shipped) = (StackName::new("st").unwrap(), BTreeMap::new(), shipped(&[]));
    let source = Source { stack: &stack, files: &compose, env: &env, shipped: &shipped, binds: Binds::Refused, api: ApiVersion::NEWEST };
    let merged: Vec<String> = load(&source).unwrap().deviations.iter().map(ToString::to_string).collect();
    assert!(matches!(merged.as_slice(), [one] if one.starts_with("D2: c.yml:1:27: services.a.read_only: ")), "{merged:?}");
    let nothing = load_with("services: {a: {image: x, tmpfs: [], oom_score_adj: 0}}", &[], &[]).unwrap().deviations;
    assert_eq!(nothing, [], "there is nothing to forget");
}

#[test]
fn what_the_cli_would_make_something_else_of_is_told_of_who_uses_it() {
    let text = "volumes:\n  data: {driver_opts: {since: 2001-01-01, to: '$E-x'}}\n  other: {labels: {on: '2001-01-01'}}\nservices:\n  \
                a: {image: x, volumes: ['data:/d'], environment: {ON: '2001-01-01'}}\n  b: {image: x, volumes: ['other:/d']}\n  \
                c: {image: x, environment: {ON: 2001-01-01, OFF: 2001-31-01}, labels: [on=2001-01-01]}\n  d: {image: x, secrets: [{source: s, mode: '$M'}]}\n\
                name: '$E-x'\nsecrets: {s: {file: s.txt}}\n";
    let loaded = load_with(text, &[("E", "e"), ("M", "0440")], &[("s.txt", "s")]).unwrap();
    let mut told: Vec<String> = loaded.deviations.iter().map(|one| format!("{} {:?} {}", one.service, one.rule, one.at)).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "a Dates c.yml:2:31: volumes.data.driver_opts.since",
            "a Variables c.yml:2:47: volumes.data",
            "c Dates c.yml:7:35: services.c.environment.ON",
            "d Modes c.yml:8:45: services.d.secrets.0.mode"
        ]
    );
}
