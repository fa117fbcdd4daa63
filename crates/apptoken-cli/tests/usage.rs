//! Help, exit codes, colours.

mod common;

use common::{apptoken, run};

const COMMANDS: [&[&str]; 9] = [
    &["demo"],
    &["token"],
    &["call"],
    &["decode"],
    &["emulator"],
    &["run"],
    &["init"],
    &["cert", "new"],
    &["cache", "list"],
];

#[test]
fn help_tells_exit_codes_and_variables() {
    let help = run(&mut apptoken(&["--help"]));
    assert_eq!(help.code, Some(0));
    for part in [
        "Exit codes:",
        "  3  not reached",
        "APPTOKEN_CLIENT_SECRET",
        "else AZURE_CLIENT_SECRET\n",
        "NO_COLOR",
        "apptoken demo",
    ] {
        assert!(help.out.contains(part), "{part}\n{}", help.out);
    }
    assert_eq!(help.err, "");
}

#[test]
fn every_command_has_examples() {
    for command in COMMANDS {
        let mut arguments = command.to_vec();
        arguments.push("--help");
        let help = run(&mut apptoken(&arguments));
        assert_eq!(help.code, Some(0), "{command:?}");
        assert!(help.out.contains("Examples:\n  "), "{command:?}\n{}", help.out);
    }
}

#[test]
fn wrong_usage_is_code_2() {
    for arguments in [
        &["tokn"][..],
        &["token"],
        &["token", "-s", "x/.default", "--show-secrets"],
        &["token", "-s", "x/.default", "--output", "yaml"],
        &["demo", "--connection-file", "x"],
        &["cert", "new", "x", "--days", "0"],
        &["--log", "=nonsense=,", "decode", "x"],
    ] {
        let said = run(&mut apptoken(arguments));
        assert_eq!(said.code, Some(2), "{arguments:?}\n{}", said.err);
        assert!(said.err.contains("error") && said.out.is_empty(), "{arguments:?}");
    }
    assert_eq!(run(&mut apptoken(&[])).code, Some(2), "no command at all");
}

/// Nobody reads standard error any more: no panic, and still the documented exit code.
#[test]
fn a_closed_standard_error_changes_no_exit_code() {
    for (arguments, code) in [(&["decode", "not-a-token"][..], 2), (&["run", "--", "/nowhere/at/all"], 127)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("apptoken"));
        let status = command.args(arguments).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn no_colours_into_a_pipe_or_under_no_color() {
    // a pipe is no terminal
    let piped = run(&mut apptoken(&["decode", "not-a-token"]));
    assert!(!piped.err.contains('\u{1b}'), "{:?}", piped.err);
    // forced, there are some: the test can fail
    let forced = run(apptoken(&["decode", "not-a-token"]).env("CLICOLOR_FORCE", "1"));
    assert!(forced.err.contains('\u{1b}'), "{:?}", forced.err);
    let never = run(apptoken(&["decode", "not-a-token"]).env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1"));
    assert!(!never.err.contains('\u{1b}'), "{:?}", never.err);
}
