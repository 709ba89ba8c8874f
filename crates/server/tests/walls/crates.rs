//! What each crate may be built from.

use std::collections::BTreeSet;
use std::process::Command;

use crate::source::Source;
use crate::workspace;

const RUNTIMES: &[&str] = &["tokio", "async-std", "smol", "mio", "socket2", "futures-executor", "rayon"];
const HTTP: &[&str] =
    &["http", "hyper", "hyper-util", "axum", "axum-core", "h2", "reqwest", "tower", "lettre", "rustls"];
const SQL: &[&str] = &[
    "rusqlite",
    "libsqlite3-sys",
    "tokio-postgres",
    "postgres-protocol",
    "deadpool-postgres",
    "refinery",
    "refinery-core",
    "sqlx",
];
const CLOCKS: &[&str] = &["jiff", "time", "chrono", "coarsetime", "quanta"];
const RANDOM: &[&str] = &["getrandom", "rand", "rand_core", "fastrand", "aws-lc-rs", "aws-lc-sys", "ring"];

/// One package as `cargo tree` names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub licence: String,
    /// Where it comes from when that is not the registry: a path or a repository.
    pub elsewhere: Option<String>,
}

/// Everything that is really built into `package` (`-p NAME`, or `--workspace`) over these kinds of edges.
///
/// `cargo metadata` also lists optional packages that no feature turns on; the tree does not.
pub fn built_into(package: &[&str], edges: &str) -> BTreeSet<Package> {
    let format = ["--prefix", "none", "--format", "{p}|{l}", "--no-dedupe"];
    let text = cargo(&[&["tree", "--locked", "--edges", edges], package, &format].concat());
    text.lines().filter(|line| !line.trim().is_empty()).map(parse).collect()
}

fn parse(line: &str) -> Package {
    let (what, licence) = line.split_once('|').unwrap_or_else(|| panic!("`{line}` has no licence column"));
    let mut words = what.splitn(3, ' ');
    let name = words.next().unwrap().to_owned();
    let version = words.next().unwrap_or_else(|| panic!("`{line}` has no version")).to_owned();
    let rest = words.next().unwrap_or_default().replace("(proc-macro)", "");
    let elsewhere = Some(rest.trim().trim_matches(['(', ')']).to_owned()).filter(|place| !place.is_empty());
    Package { name, version, licence: licence.trim().to_owned(), elsewhere }
}

fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program).args(arguments).current_dir(workspace()).output().unwrap();
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Names of the crates a member declares itself, from `cargo metadata`; development dependencies apart.
fn declared(member: &str) -> BTreeSet<String> {
    let metadata = cargo(&["metadata", "--locked", "--no-deps", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let package = packages.iter().find(|p| p["name"] == member).unwrap_or_else(|| panic!("no member `{member}`"));
    let dependencies = package["dependencies"].as_array().unwrap().iter();
    dependencies.filter(|d| d["kind"] != "dev").map(|d| d["name"].as_str().unwrap().to_owned()).collect()
}

fn refuse(member: &str, banned: &[&[&str]]) {
    let built: BTreeSet<String> = built_into(&["-p", member], "normal").into_iter().map(|p| p.name).collect();
    assert!(built.contains(member), "the tree of `{member}` does not even hold itself");
    let banned = banned.concat();
    let found: Vec<&String> = built.iter().filter(|name| banned.contains(&name.as_str())).collect();
    assert!(found.is_empty(), "`{member}` is pure, but is built from {found:?}");
}

#[test]
fn the_engine_has_no_runtime_http_sql_clock_or_randomness() {
    refuse("countersign-engine", &[RUNTIMES, HTTP, SQL, CLOCKS, RANDOM]);
}

#[test]
fn the_protocol_has_no_runtime_http_or_sql() {
    refuse("countersign-protocol", &[RUNTIMES, HTTP, SQL]);
}

#[test]
fn the_store_knows_no_http() {
    refuse("countersign-store", &[&["axum", "hyper", "hyper-util", "h2", "reqwest", "lettre"]]);
}

#[test]
fn the_walls_would_notice() {
    // The same question, asked of a crate known to be impure.
    let built: BTreeSet<String> = built_into(&["-p", "countersign"], "normal").into_iter().map(|p| p.name).collect();
    for name in ["tokio", "axum", "rusqlite", "jiff", "aws-lc-rs"] {
        assert!(built.contains(name), "the tree of the server does not hold `{name}`: the question is wrong");
    }
}

#[test]
fn crates_import_only_what_lies_below_them() {
    let ours = |member| -> Vec<String> {
        declared(member).into_iter().filter(|name| name.starts_with("countersign")).collect()
    };
    assert!(ours("countersign-engine").is_empty(), "the engine knows {:?}", ours("countersign-engine"));
    assert!(ours("countersign-protocol").is_empty(), "the protocol knows {:?}", ours("countersign-protocol"));
    assert!(!ours("countersign-store").contains(&"countersign".to_owned()), "the store knows the server");
    let server = declared("countersign");
    let sql: Vec<&&str> = SQL.iter().filter(|name| server.contains(**name)).collect();
    assert!(sql.is_empty(), "the server declares {sql:?}: queries belong into the store");
}

#[test]
fn pure_crates_ask_nothing_of_the_world() {
    const WORLD: &[&str] = &[
        "std::fs",
        "std::env",
        "std::process",
        "std::thread",
        "TcpStream",
        "UdpSocket",
        "SystemTime",
        "Instant::now",
        "async fn",
    ];
    for member in ["crates/engine/src", "crates/protocol/src"] {
        for source in Source::all_under(member) {
            let found: Vec<&&str> = WORLD.iter().filter(|word| source.code().contains(**word)).collect();
            assert!(found.is_empty(), "`{}` is pure, but names {found:?}", source.name());
        }
    }
}

#[test]
fn the_clock_and_randomness_are_read_in_one_file() {
    const AMBIENT: &[&str] = &["SystemTime::now", "Instant::now", "Timestamp::now", "rand::fill", "SystemRandom::fill"];
    for member in ["crates/engine/src", "crates/protocol/src", "crates/store/src", "crates/server/src"] {
        for source in Source::all_under(member) {
            if source.name() == "crates/server/src/world.rs" {
                continue;
            }
            let found: Vec<&&str> = AMBIENT.iter().filter(|word| source.code().contains(**word)).collect();
            assert!(found.is_empty(), "`{}` reads {found:?} past the `World`", source.name());
        }
    }
}

#[test]
fn the_server_holds_no_sql() {
    const SQL_TEXT: &[&str] = &["select ", "insert into ", "delete from ", "create table ", "update "];
    for source in Source::all_under("crates/server/src") {
        for literal in source.literals() {
            let text = literal.trim_start().to_lowercase();
            let found = SQL_TEXT.iter().any(|start| text.starts_with(start))
                && [" from ", " set ", " values", " into ", "table "].iter().any(|word| text.contains(word));
            assert!(!found, "`{}` holds SQL: {literal}", source.name());
        }
    }
}
