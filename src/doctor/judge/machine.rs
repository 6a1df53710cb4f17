//! PURE: what is to be said of this machine: state, socket, descriptors.

use std::path::PathBuf;

use crate::doctor::{Finding, Topic};

/// Below this the next write may fail, bytes.
const SPACE_FAIL: u64 = 10 << 20;
/// Below this somebody should look, bytes.
const SPACE_WARN: u64 = 100 << 20;

/// A file or folder, as this user finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::doctor) struct Entry {
    /// Permission bits.
    pub(in crate::doctor) mode: u32,
    /// The owner.
    pub(in crate::doctor) uid: u32,
    /// Why this user cannot write it, if so.
    pub(in crate::doctor) unwritable: Option<String>,
}

/// The state file and what is around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::doctor) struct StateFacts {
    /// The file.
    pub(in crate::doctor) path: PathBuf,
    /// Its folder.
    pub(in crate::doctor) folder: PathBuf,
    /// The folder as found; `None` when there is none.
    pub(in crate::doctor) folder_entry: Option<Entry>,
    /// The file as found; `None` when there is none.
    pub(in crate::doctor) file_entry: Option<Entry>,
    /// Free space for this user, bytes.
    pub(in crate::doctor) free: Option<u64>,
    /// What is wrong with its content, with the remedy.
    pub(in crate::doctor) broken: Option<String>,
    /// Who uses it.
    pub(in crate::doctor) holder: Option<String>,
}

/// The state.
pub(in crate::doctor) fn state(facts: &StateFacts) -> Vec<Finding> {
    let (path, folder) = (facts.path.display().to_string(), facts.folder.display().to_string());
    let fail = |text: String, remedy: String| Finding::fail(Topic::State, &path, text, remedy);
    let warn = |text: String, remedy: String| Finding::warn(Topic::State, &path, text, remedy);
    let Some(entry) = &facts.folder_entry else {
        let remedy = format!("mkdir -p {folder} and give it to the user that runs failover");
        return vec![fail(format!("its folder {folder} does not exist"), remedy)];
    };
    let mut findings = Vec::new();
    if let Some(why) = &entry.unwritable {
        let remedy = format!(
            "give {folder} to the user that runs failover (owner now: uid {}), or run doctor as that user",
            entry.uid
        );
        findings.push(fail(format!("its folder {folder} cannot be written: {why}"), remedy));
    }
    if entry.mode & 0o1002 == 0o002 {
        let text = format!("anybody may replace it: its folder has mode {:04o}", entry.mode & 0o7777);
        findings.push(warn(text, format!("chmod o-w {folder}")));
    }
    if let Some(file) = &facts.file_entry {
        if let Some(why) = &file.unwritable {
            let remedy = format!("chown it to the user that runs failover (owner now: uid {})", file.uid);
            findings.push(fail(format!("it cannot be written: {why}"), remedy));
        }
        if file.mode & 0o077 != 0 {
            let text = format!("others may open it: it has mode {:04o}", file.mode & 0o7777);
            findings.push(warn(text, format!("chmod 600 {path}")));
        }
        if file.uid != entry.uid {
            let text = format!("it belongs to uid {} and its folder to uid {}", file.uid, entry.uid);
            let remedy = format!("if the agent runs as uid {0}: chown {0} {path}*", entry.uid);
            findings.push(warn(text, remedy));
        }
    }
    if let Some(free) = facts.free.filter(|free| *free < SPACE_WARN) {
        let text = format!("{} MiB are free on its disk", free >> 20);
        let remedy = "free some space: without it a failover still happens, but is not kept".to_owned();
        findings.push(if free < SPACE_FAIL { fail(text, remedy) } else { warn(text, remedy) });
    }
    if let Some(why) = &facts.broken {
        findings.push(fail(why.clone(), "as it says".into()));
    }
    if findings.is_empty() {
        let there = if facts.file_entry.is_some() {
            "can be read and written"
        } else {
            "not there yet, and can be made"
        };
        let user = facts
            .holder
            .as_ref()
            .map_or_else(|| "nobody uses it now".to_owned(), |who| format!("used by {who}"));
        findings.push(Finding::ok(Topic::State, path, format!("{there}; {user}")));
    }
    findings
}

/// Who answers at the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::doctor) enum Door {
    /// None is configured.
    None,
    /// An agent: its name and version.
    Agent(String, String),
    /// Nobody, and why; whether the folder of the socket is there.
    Nobody(String, bool),
}

/// The socket. `holder` is who uses the state file.
pub(in crate::doctor) fn socket(path: &str, door: &Door, holder: Option<&str>, version: &str) -> Finding {
    match (door, holder) {
        (Door::None, _) => Finding::warn(
            Topic::Socket,
            "",
            "no socket is configured: `failover status` and `failover failback` cannot reach the agent",
            "set api.socket, /run/failover/failover.sock for one",
        ),
        (Door::Agent(id, theirs), _) if theirs != version => Finding::warn(
            Topic::Socket,
            path,
            format!("the agent {id} that answers has version {theirs}, and this is {version}"),
            "restart the agent",
        ),
        (Door::Agent(id, _), _) => Finding::ok(Topic::Socket, path, format!("the agent {id} answers")),
        (Door::Nobody(why, _), Some(holder)) if holder.contains("`failover run`") => Finding::fail(
            Topic::Socket,
            path,
            format!("{holder} uses the state file, and nobody answers here: {why}"),
            "look into its log; restart it if it hangs",
        ),
        (Door::Nobody(_, false), _) => Finding::warn(
            Topic::Socket,
            path,
            "its folder does not exist, so an agent could not listen here",
            "make the folder (systemd: RuntimeDirectory=failover makes /run/failover)",
        ),
        (Door::Nobody(..), _) => Finding::ok(Topic::Socket, path, "no agent runs here now"),
    }
}

/// Open files. `limit` is `None` where there is none.
pub(in crate::doctor) fn descriptors(limit: Option<u64>, endpoints: usize, tripwires: usize) -> Finding {
    let need = crate::probe::descriptors_needed(endpoints + tripwires);
    let Some(limit) = limit else {
        return Finding::ok(Topic::Descriptors, "", "no limit on open files");
    };
    let with = if tripwires == 0 { String::new() } else { format!(" with {tripwires} tripwires") };
    let text = format!("a process may open {limit} files, and {endpoints} endpoints{with} need up to {need}");
    if limit < need {
        let remedy =
            format!("raise it: LimitNOFILE={} in the systemd unit, or ulimit -n", need.next_power_of_two());
        return Finding::fail(Topic::Descriptors, "", text, remedy);
    }
    Finding::ok(Topic::Descriptors, "", text)
}

/// Echo requests: `refused` is the first family that this user may not send them in, and why; `groups` the sysctl.
pub(in crate::doctor) fn icmp(refused: Option<(&str, String)>, groups: &str, group: u32) -> Finding {
    let Some((family, why)) = refused else {
        return Finding::ok(Topic::Icmp, "", "this user may send echo requests");
    };
    let text =
        format!("this user may not send echo requests over {family}: {why}; the groups that may: {groups}");
    let remedy = format!(
        "sysctl net.ipv4.ping_group_range=\"{group} {group}\" (IPv6 goes by it too), or give the agent CAP_NET_RAW"
    );
    Finding::fail(Topic::Icmp, "", text, remedy)
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::*;

    fn entry(mode: u32) -> Entry {
        Entry { mode, uid: 998, unwritable: None }
    }

    fn facts() -> StateFacts {
        StateFacts {
            path: "/var/lib/failover/failover.db".into(),
            folder: "/var/lib/failover".into(),
            folder_entry: Some(entry(0o40750)),
            file_entry: Some(entry(0o100_600)),
            free: Some(1 << 40),
            broken: None,
            holder: None,
        }
    }

    #[test]
    fn a_good_state_is_one_line() {
        let said = state(&StateFacts { holder: Some("`failover run` (process 7)".into()), ..facts() });
        assert_eq!(said.len(), 1);
        assert_eq!(
            (said[0].level, said[0].text.as_str()),
            (Level::Ok, "can be read and written; used by `failover run` (process 7)")
        );
        let new = state(&StateFacts { file_entry: None, ..facts() });
        assert_eq!(new[0].text, "not there yet, and can be made; nobody uses it now");
    }

    #[test]
    fn each_fault_of_the_state_has_its_line() {
        let cannot = |mode| Some(Entry { unwritable: Some("Permission denied".into()), ..entry(mode) });
        let cases = [
            (StateFacts { folder_entry: None, ..facts() }, Level::Fail, "does not exist"),
            (
                StateFacts { folder_entry: cannot(0o40500), ..facts() },
                Level::Fail,
                "folder /var/lib/failover cannot",
            ),
            (StateFacts { folder_entry: Some(entry(0o40777)), ..facts() }, Level::Warn, "0777"),
            (StateFacts { file_entry: cannot(0o100_400), ..facts() }, Level::Fail, "it cannot be written"),
            (StateFacts { file_entry: Some(entry(0o100_644)), ..facts() }, Level::Warn, "0644"),
            (
                StateFacts { file_entry: Some(Entry { uid: 0, ..entry(0o100_600) }), ..facts() },
                Level::Warn,
                "uid 0",
            ),
            (StateFacts { free: Some(50 << 20), ..facts() }, Level::Warn, "50 MiB"),
            (StateFacts { free: Some(5 << 20), ..facts() }, Level::Fail, "5 MiB"),
            (StateFacts { broken: Some("is damaged".into()), ..facts() }, Level::Fail, "damaged"),
        ];
        for (facts, level, says) in cases {
            let said = state(&facts);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].level == level && said[0].text.contains(says), "{says}: {said:?}");
            assert!(said[0].remedy.is_some(), "{said:?}");
        }
        // Like /tmp: everybody may write, and only the owner may replace.
        assert_eq!(state(&StateFacts { folder_entry: Some(entry(0o41777)), ..facts() })[0].level, Level::Ok);
    }

    #[test]
    fn the_socket_tells_a_hanging_agent_from_none() {
        let nobody = |folder| Door::Nobody("none is running".into(), folder);
        let agent = Door::Agent("toronto-1".into(), "1.2.3".into());
        let run = Some("`failover run` (process 7)");
        for (door, holder, level) in [
            (Door::None, None, Level::Warn),
            (agent.clone(), run, Level::Ok),
            (Door::Agent("toronto-1".into(), "1.0.0".into()), run, Level::Warn),
            (nobody(true), run, Level::Fail),
            (nobody(true), Some("`failover once` (process 7)"), Level::Ok),
            (nobody(true), None, Level::Ok),
            (nobody(false), None, Level::Warn),
        ] {
            assert_eq!(socket("/run/x.sock", &door, holder, "1.2.3").level, level, "{door:?} {holder:?}");
        }
    }

    #[test]
    fn who_may_not_ping_is_told_the_sysctl() {
        assert_eq!(icmp(None, "1 0", 998).level, Level::Ok);
        let said = icmp(Some(("IPv4", "Permission denied".into())), "1 0", 998);
        assert_eq!(said.level, Level::Fail);
        assert!(said.text.contains("1 0") && said.remedy.is_some_and(|remedy| remedy.contains("998 998")));
    }

    #[test]
    fn descriptors_grow_with_the_endpoints() {
        assert_eq!(descriptors(Some(1024), 10, 0).level, Level::Ok);
        assert_eq!(descriptors(Some(140), 10, 0).level, Level::Fail);
        assert_eq!(descriptors(Some(1024), 1000, 0).level, Level::Fail, "all may hang together");
        assert_eq!(descriptors(Some(2048), 1000, 0).level, Level::Ok);
        assert_eq!(descriptors(Some(2048), 1000, 1000).level, Level::Fail, "each is a connection");
        assert_eq!(descriptors(None, 100_000, 0).level, Level::Ok);
    }
}
