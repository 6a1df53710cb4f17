//! What `completions` and `man` print is what shells and `man` take.

use std::process::Command;

use crate::agent::{Ended, clean, program};

#[test]
fn bash_takes_its_completions() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("failover");
    let made = Ended::of(program().args(["completions", "bash"]));
    assert_eq!((made.code, made.stderr.as_str()), (0, ""));
    std::fs::write(&file, &made.stdout).unwrap();
    let mut check = Command::new("bash");
    clean(&mut check);
    let parsed = Ended::of(check.arg("-n").arg(&file));
    assert_eq!((parsed.code, parsed.stderr.as_str()), (0, ""), "{parsed:?}");
    // What bash would offer after `failover do`, and after `failover probe --na`.
    let script = r#"source "$1"; complete -p failover
        COMP_WORDS=(failover do); COMP_CWORD=1; _failover failover do failover; echo "${COMPREPLY[@]}"
        COMP_WORDS=(failover probe --na); COMP_CWORD=2; _failover failover --na probe; echo "${COMPREPLY[@]}""#;
    let mut offer = Command::new("bash");
    clean(&mut offer);
    let offered = Ended::of(offer.args(["--norc", "-c", script, "bash"]).arg(&file));
    let lines: Vec<&str> = offered.stdout.lines().collect();
    assert!(lines[0].starts_with("complete ") && lines[0].ends_with(" failover"), "{offered:?}");
    assert_eq!(&lines[1..], ["doctor", "--nagios"], "{offered:?}");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let made = Ended::of(program().args(["completions", shell]));
        assert!(made.code == 0 && made.stdout.contains("doctor"), "{shell}: {made:?}");
    }
}

#[test]
fn every_command_has_a_page_that_man_reads_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let made = Ended::of(program().args(["man", "--out"]).arg(folder.path().join("man1")));
    assert_eq!((made.code, made.stdout.as_str(), made.stderr.as_str()), (0, "", ""));
    let pages = std::fs::read_dir(folder.path().join("man1")).unwrap();
    let mut names = Vec::new();
    for page in pages.map(|page| page.unwrap().path()) {
        let mut man = Command::new("man");
        clean(&mut man);
        man.env("LC_ALL", "C.UTF-8").env("MANWIDTH", "100").env("PAGER", "cat").env("MANPAGER", "cat");
        let read = Ended::of(man.args(["--warnings", "-l"]).arg(&page));
        assert_eq!((read.code, read.stderr.as_str()), (0, ""), "{page:?}");
        assert!(read.stdout.contains("xample"), "{page:?} has no example");
        names.push(page.file_name().unwrap().to_string_lossy().into_owned());
    }
    for name in ["failover.1", "failover-probe.1", "failover-doctor.1", "failover-notify-test.1"] {
        assert!(names.contains(&name.to_owned()), "{names:?}");
    }
    assert!(!names.iter().any(|name| name.contains("help")), "{names:?}");
    let main = Ended::of(program().arg("man"));
    assert!(main.stdout.contains(".TH FAILOVER 1"), "{main:?}");
    let nowhere = Ended::of(program().args(["man", "--out", "/proc/self/man1"]));
    assert_eq!(nowhere.code, 1, "{nowhere:?}");
}
