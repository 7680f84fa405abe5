//! The command line as a user or a script meets it: output, exit codes, mistakes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests, of which clippy knows only the functions marked so")]
#![allow(clippy::disallowed_methods, reason = "the program under test is a child process of its test")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use uuid::Uuid;

/// Runs the program with no configuration but what `environment` says.
fn agent(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_axion-agent"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AXION_AGENT")) {
        command.env_remove(name);
    }
    command.env_remove("DOCKER_HOST").env_remove("CREDENTIALS_DIRECTORY");
    command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A file that is removed at the end of its test.
struct TextFile(PathBuf);

impl TextFile {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("axion-cli-{}.toml", Uuid::new_v4()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TextFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    for arguments in [&["--help"][..], &["help"], &["run", "--help"], &["config", "-h"], &["help", "config"]] {
        let output = agent(arguments, &[]);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(out(&output).contains("Usage: axion-agent") && err(&output).is_empty(), "{arguments:?}");
    }
    let version = agent(&["--version"], &[]);
    assert_eq!(out(&version), format!("axion-agent {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_exit_code_2_and_points_to_the_help() {
    for (arguments, part) in [
        (&[][..], "a command is missing"),
        (&["confg"], "did you mean config?"),
        (&["deploy", "shop"], "-c FILE is missing"),
        (&["run", "--confg", "x"], "did you mean --config?"),
        (&["config", "show", "now"], "one argument too many"),
    ] {
        let output = agent(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(err(&output).contains(part) && err(&output).contains("[usage]\n  next: axion-agent "), "{arguments:?}: {}", err(&output));
        assert!(out(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn config_check_finds_mistakes_with_exit_code_3() {
    let good = TextFile::new("[docker]\nlanes = 4\n");
    let output = agent(&["config", "check", "--config", good.path()], &[]);
    assert_eq!((output.status.code(), out(&output)), (Some(0), format!("{}: ok\n", good.path())));

    let bad = TextFile::new("[docker]\nlanes = 400\nlane = 2\n");
    let output = agent(&["config", "check", "--config", bad.path()], &[]);
    assert_eq!(output.status.code(), Some(3));
    let path = bad.path();
    let expected = format!(
        "{path}:2:9: docker.lanes: 400 is outside of 1 to 16\n{path}:3:1: docker.lane: unknown key; did you mean docker.lanes?\naxion-agent: 2 mistakes \
             [config.invalid]\n  next: mend what is named; axion-agent config example shows every key\n"
    );
    assert_eq!(err(&output), expected);

    let output = agent(&["config", "check", "--json"], &[("AXION_AGENT_CONFIG", bad.path())]);
    assert_eq!(output.status.code(), Some(3));
    let findings: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(findings["ok"], false);
    assert_eq!((&findings["problems"][0]["line"], &findings["problems"][0]["key"]), (&2.into(), &"docker.lanes".into()));

    let missing = agent(&["config", "check", "--config", "/does/not/exist.toml"], &[]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(err(&missing).contains("/does/not/exist.toml"));
}

#[test]
fn config_show_says_where_each_value_comes_from() {
    let file = TextFile::new("[agent]\ntoken = \"hidden\"\n");
    let output = agent(&["config", "show", "--config", file.path()], &[("AXION_AGENT__HEALTH__PORT", "9000")]);
    assert_eq!(output.status.code(), Some(0));
    let shown = out(&output);
    assert!(shown.contains("token = \"[redacted]\" # line 2\n") && !shown.contains("hidden"), "{shown}");
    assert!(shown.contains("port = 9000 # $AXION_AGENT__HEALTH__PORT\n"), "{shown}");
}

#[test]
fn config_example_is_the_file_that_is_shipped() {
    let output = agent(&["config", "example"], &[]);
    assert_eq!(out(&output), fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/agent.toml.example")).unwrap());
}

#[test]
fn run_refuses_a_wrong_configuration() {
    let bad = TextFile::new("[agent]\nid = \"not a topic\"\n");
    let output = agent(&["run", "--config", bad.path()], &[]);
    assert_eq!(output.status.code(), Some(3));
    assert!(err(&output).contains(":2:6: agent.id: agent id \"not a topic\" may hold only"), "{}", err(&output));
}

#[test]
fn render_reads_what_lies_beside_the_file_and_shows_the_files_as_one() {
    let folder = std::env::temp_dir().join(format!("axion-render-{}", Uuid::new_v4()));
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("c.yml");
    fs::write(&file, "services: {a: {image: \"x:${TAG}\", env_file: [{path: none, required: false}, {path: some, required: false}]}}\n")
        .unwrap();
    fs::write(folder.join(".env"), "TAG=\"one\" # of two\n").unwrap();
    fs::write(folder.join("some"), "Q=$1\n").unwrap();
    let arguments = ["render", "st", "-c", file.to_str().unwrap()];
    let bodies = agent(&arguments, &[("TAG", "two")]);
    assert!(out(&bodies).contains("\"Image\":\"x:two\"") && out(&bodies).contains("\"Env\":[\"Q=$1\"]"), "{bodies:?}");
    let merged = agent(&[&arguments[..], &["--merged"]].concat(), &[]);
    assert_eq!(out(&merged), "services:\n  a:\n    environment:\n      Q: \"$$1\"\n    image: x:one\n", "{merged:?}");
    fs::write(&file, "services: {a: {image: x, env_file: .}}\n").unwrap();
    let refused = agent(&arguments, &[]);
    assert!(err(&refused).contains(":1:36: services.a.env_file: cannot read") && refused.status.code() == Some(1), "{refused:?}");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn completions_are_scripts_that_their_shells_read() {
    for (shell, arguments) in [("bash", &["-n"][..]), ("zsh", &["-n"]), ("fish", &["--no-execute"])] {
        let script = TextFile::new(&out(&agent(&["completions", shell], &[])));
        match Command::new(shell).args(arguments).arg(script.path()).stdin(Stdio::null()).output() {
            Ok(checked) => assert!(checked.status.success() && checked.stderr.is_empty(), "{shell}: {}", err(&checked)),
            Err(error) => eprintln!("{shell} is not here: {error}"),
        }
    }
}

#[test]
fn bash_completes_commands_options_and_their_values() {
    let script = TextFile::new(&out(&agent(&["completions", "bash"], &[])));
    let completed = |words: &str| {
        let line = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _axion_agent; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.path()
        );
        let output = Command::new("bash").args(["-c", &line]).stdin(Stdio::null()).output().unwrap();
        assert!(err(&output).is_empty(), "{words}: {}", err(&output));
        out(&output).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(completed("axion-agent de"), ["deploy"]);
    assert_eq!(completed("axion-agent config ''"), ["check", "show", "example"]);
    assert_eq!(completed("axion-agent deploy shop --resolve-image ''"), ["always", "changed", "never"]);
    assert_eq!(completed("axion-agent deploy shop --on"), ["--on-failure"]);
    assert_eq!(completed("axion-agent config show --j"), ["--json"]);
    assert_eq!(completed("axion-agent completions ''"), ["bash", "zsh", "fish"]);
    assert_eq!(completed("axion-agent completions bash ''"), [""; 0]);
    assert_eq!(completed("axion-agent schema st"), ["stacks", "stack", "status"]);
}

#[test]
fn fish_completes_commands_options_and_their_values() {
    let script = TextFile::new(&out(&agent(&["completions", "fish"], &[])));
    let line = "source $argv[1]; for line in $argv[2..]; complete -C $line; end";
    let lines = ["axion-agent de", "axion-agent config s", "axion-agent deploy shop --resolve-image ", "axion-agent deploy shop --on"];
    let output = match Command::new("fish").args(["-c", line, script.path()]).args(lines).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => return eprintln!("fish is not here: {error}"),
    };
    let completed: Vec<String> = out(&output).lines().filter_map(|line| Some(line.split('\t').next()?.to_owned())).collect();
    assert_eq!(completed, ["deploy", "show", "always", "changed", "never", "--on-failure"], "{output:?}");
}

#[test]
fn manual_pages_have_no_mistakes() {
    let folder = std::env::temp_dir().join(format!("axion-man-{}", Uuid::new_v4()));
    fs::create_dir_all(&folder).unwrap();
    let written = agent(&["man", "--folder", folder.to_str().unwrap()], &[]);
    assert_eq!((written.status.code(), err(&written)), (Some(0), String::new()));
    let pages: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(pages.len() > 30, "{}", pages.len());
    for page in &pages {
        let lint: [(&str, &[&str]); 2] = [("groff", &["-man", "-Tutf8", "-ww", "-z"]), ("mandoc", &["-Tlint", "-Wwarning"])];
        for (program, arguments) in lint {
            match Command::new(program).args(arguments).arg(page).stdin(Stdio::null()).output() {
                Ok(checked) => {
                    assert!(checked.status.success() && checked.stderr.is_empty(), "{page:?}: {}{}", err(&checked), out(&checked))
                }
                Err(error) => eprintln!("{program} is not here: {error}"),
            }
        }
    }
    assert_eq!(fs::read_to_string(folder.join("axion-agent-deploy.1")).unwrap(), out(&agent(&["man", "deploy"], &[])));
    fs::remove_dir_all(&folder).unwrap();
    let refused = agent(&["man", "--folder", "/does/not/exist"], &[]);
    assert!(refused.status.code() == Some(1) && err(&refused).contains("[file.unwritable]\n  next: "), "{refused:?}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_axion-agent"))
        .args(["config", "example"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), err(&output)), (Some(0), String::new()));
}
