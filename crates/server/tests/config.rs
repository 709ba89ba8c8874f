//! Configuration: defaults, layering, and mistakes named with their place and fix.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign::config::{Config, Database, LogFormat, MailTls, Mistakes, Provider, Tls};

const LEAST: &str = "[database]\nurl = \"sqlite:data.sqlite3\"\n[keys]\nmaster_key_file = \"master.key\"\n";

fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Config::parse(text, Path::new("/etc/countersign/server.toml"), environment)
}

fn told(text: &str, environment: &[(&str, &str)]) -> String {
    parse(text, environment).map(drop).unwrap_err().to_string()
}

#[test]
fn the_least_file_has_safe_defaults_and_paths_beside_it() {
    let config = parse(LEAST, &[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8400");
    assert_eq!(config.database, Database::Sqlite(PathBuf::from("/etc/countersign/data.sqlite3")));
    assert_eq!(config.master_key_file, Some(PathBuf::from("/etc/countersign/master.key")));
    assert_eq!((config.hashing.memory, config.hashing.passes, config.hashing.parallel), (19_456, 2, 1));
    assert!(config.tls.is_none() && config.mail.is_none() && config.observe.listen.is_none());
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn every_key_can_be_set() {
    let config = parse(
        r#"
        [server]
        listen = "[::]:443"
        threads = 4
        max_connections = 100
        trusted_proxies = ["10.0.0.0/8", "2001:db8::/32"]
        [server.limits]
        body = 65536
        header_bytes = 16384
        headers = 40
        [server.timeouts]
        header = 5
        request = 6
        handshake = 7
        shutdown = 8
        [tls]
        cert = "/tls/cert.pem"
        key = "/tls/key.pem"
        [database]
        url = "postgres://countersign@db/countersign"
        password_file = "pg.password"
        pool = 8
        ca = "ca.pem"
        [keys]
        master_key_file = "/keys/master"
        [observe]
        listen = "127.0.0.1:9400"
        [log]
        format = "text"
        level = "info,countersign::request=debug"
        [mail]
        smtp = "smtp.example.test:2525"
        from = "Sign-in <no-reply@example.test>"
        tls = "implicit"
        credentials_file = "smtp.credentials"
        [sms]
        provider = "webhook"
        url = "https://messages.test/send/"
        secret_file = "sms.secret"
        [voice]
        provider = "twilio"
        account = "AC1"
        from = "+15557654321"
        credentials_file = "twilio.credentials"
        [outbound]
        allow = ["keys.internal.test"]
        ca = "internal.pem"
        [geo]
        database = "places.mmdb"
        [hashing]
        lanes = 2
        queue = 10
        m = 8192
        t = 3
        p = 2
        "#,
        &[],
    )
    .unwrap();
    assert_eq!((config.server.threads, config.server.max_connections), (4, 100));
    assert_eq!(config.server.limits.headers, 40);
    assert_eq!(config.server.timeouts.shutdown, Duration::from_secs(8));
    assert!(config.server.trusted_proxies.contains("10.1.2.3".parse().unwrap()));
    assert_eq!(config.tls, Some(Tls { cert: "/tls/cert.pem".into(), key: "/tls/key.pem".into() }));
    assert!(matches!(&config.database, Database::Postgres { pool: 8, password_file: Some(file), .. }
        if file == Path::new("/etc/countersign/pg.password")));
    let mail = config.mail.unwrap();
    assert_eq!((mail.host.as_str(), mail.port, mail.tls), ("smtp.example.test", 2525, MailTls::Implicit));
    let (url, secret_file) = ("https://messages.test/send".to_owned(), "/etc/countersign/sms.secret".into());
    assert_eq!(config.sms.unwrap().provider, Provider::Webhook { url, secret_file });
    assert!(matches!(config.voice.unwrap().provider, Provider::Twilio { url, .. } if url == "https://api.twilio.com"));
    assert_eq!(config.outbound.allow, ["keys.internal.test"]);
    assert_eq!(config.geo_database, Some(PathBuf::from("/etc/countersign/places.mmdb")));
    assert_eq!((config.hashing.lanes, config.hashing.queue, config.hashing.memory), (2, 10, 8192));
}

#[test]
fn the_environment_wins_over_the_file() {
    let config = parse(
        &format!("[server]\nthreads = 1\n{LEAST}"),
        &[
            ("COUNTERSIGN__SERVER__THREADS", "3"),
            ("COUNTERSIGN__SERVER__TIMEOUTS__REQUEST", "9"),
            ("COUNTERSIGN__SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.0/24"),
            ("COUNTERSIGN__DATABASE__URL", "sqlite:other.sqlite3"),
            ("COUNTERSIGN__MAIL__SMTP", "localhost"),
            ("COUNTERSIGN__MAIL__FROM", "a@example.test"),
            ("COUNTERSIGN_CONFIG", "is not ours"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.server.threads, 3);
    assert_eq!(config.server.timeouts.request, Duration::from_secs(9));
    assert!(config.server.trusted_proxies.contains("192.0.2.7".parse().unwrap()));
    assert_eq!(config.database, Database::Sqlite(PathBuf::from("other.sqlite3")), "begins at the working directory");
    assert_eq!(config.mail.unwrap().port, 587);
}

#[test]
fn each_mistake_is_named_with_place_key_and_fix_all_in_one_go() {
    let text = "[server]\nlisten = \"localhost\"\nthreads = \"two\"\nlistne = 1\ntrusted_proxies = [\"10.0.0.0/8\", \"inside\", 7]\n\
                [database]\nurl = \"mysql://root:hunter22@db/x\"\n[mail]\nsmtp = \"a b\"\ntls = \"maybe\"\n[speling]\nx = 1\n";
    insta_like(
        &told(text, &[("COUNTERSIGN__HASHING__LANES", "many"), ("COUNTERSIGN__LOG__LEVLE", "info")]),
        &[
            r#"/etc/countersign/server.toml:2:1: `server.listen`: `localhost` is not an address with a port; write it as "127.0.0.1:8400" or "[::]:8400""#,
            "/etc/countersign/server.toml:3:1: `server.threads`: `two` is not in range; write a whole number from 1 to 256, without quotes",
            "/etc/countersign/server.toml:4:1: `server.listne`: there is no such key; did you mean `server.listen`",
            r#"/etc/countersign/server.toml:5:1: `server.trusted_proxies`: `inside` is not a network; write each as "10.0.0.0/8" or "2001:db8::/32""#,
            r#"/etc/countersign/server.toml:5:1: `server.trusted_proxies`: a number is not a network; write each as "10.0.0.0/8" or "2001:db8::/32""#,
            r#"/etc/countersign/server.toml:7:1: `database.url`: it is neither an SQLite nor a PostgreSQL URL; write "sqlite:/var/lib/countersign/data.sqlite3" or "postgres://countersign@db.example.test/countersign""#,
            r#"/etc/countersign/server.toml:8:2: `mail.from`: it is missing; write it as "Sign-in <no-reply@example.test>""#,
            r#"/etc/countersign/server.toml:9:1: `mail.smtp`: `a b` is not a host; write it as "smtp.example.test:587""#,
            r#"/etc/countersign/server.toml:10:1: `mail.tls`: `maybe` is no choice; write one of "implicit", "starttls", "none""#,
            "/etc/countersign/server.toml:12:1: `speling.x`: there is no such key; the sections are database, geo, hashing, keys, log, mail, observe, outbound, passwords, server, sms, tls, voice",
            "/etc/countersign/server.toml: `keys.master_key_file`: it is missing; name a file with 32 random bytes; make one with `head -c 32 /dev/urandom | base64 > master.key`",
            "environment variable `COUNTERSIGN__HASHING__LANES`: `hashing.lanes`: `many` is not in range; write a whole number from 1 to 256, without quotes",
            "environment variable `COUNTERSIGN__LOG__LEVLE`: `log.levle`: there is no such key; did you mean `log.level`",
        ],
    );
}

fn insta_like(found: &str, expected: &[&str]) {
    let found: Vec<_> = found.lines().collect();
    assert_eq!(found, expected, "\n{}", found.join("\n"));
}

#[test]
fn a_database_password_is_never_repeated() {
    assert!(!told("[database]\nurl = \"mysql://root:hunter22@db/x\"\n", &[]).contains("hunter22"));
    let config = parse(&LEAST.replace("sqlite:data.sqlite3", "postgres://root:hunter22@db/x"), &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter22"));
}

#[test]
fn broken_toml_is_named_with_its_line() {
    let told = told("[server]\nlisten = \n", &[]);
    assert!(told.starts_with("/etc/countersign/server.toml:2:"), "{told}");
    let twice = self::told("[server]\nthreads = 1\nthreads = 2\n", &[]);
    assert!(twice.starts_with("/etc/countersign/server.toml:3:"), "{twice}");
}

#[test]
fn a_section_is_no_value_and_an_empty_foreign_section_is_noticed() {
    assert!(told(&format!("{LEAST}[server.listen]\nx = 1\n"), &[]).contains("`server.listen.x`"));
    assert!(told(&format!("server = 3\n{LEAST}"), &[]).contains("`server`: there is no such key"));
    assert!(told(&format!("{LEAST}[extra]\n"), &[]).contains("`extra`: there is no such section"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let told = Config::load(Path::new("/nowhere/server.toml")).map(drop).unwrap_err().to_string();
    assert!(told.starts_with("/nowhere/server.toml: the file cannot be read"), "{told}");
}

#[test]
fn development_keeps_nothing_unless_told_where() {
    let listen = "127.0.0.1:8400".parse().unwrap();
    let config = Config::dev(listen, None);
    assert_eq!((config.database, config.master_key_file), (Database::Temporary, None));
    let kept = Config::dev(listen, Some(Path::new("data")));
    assert_eq!(kept.database, Database::Sqlite(PathBuf::from("data/countersign.sqlite3")));
    assert_eq!(kept.master_key_file, Some(PathBuf::from("data/master.key")));
}

#[test]
fn traces_go_to_a_collector_where_the_build_can_send_them() {
    let with = |endpoint: &str| format!("{LEAST}[observe]\notlp_endpoint = \"{endpoint}\"\n");
    let read = parse(&with("http://127.0.0.1:4318/"), &[]);
    if cfg!(feature = "otel") {
        assert_eq!(read.unwrap().observe.otlp_endpoint.as_deref(), Some("http://127.0.0.1:4318"));
    } else {
        assert_eq!(
            read.map(drop).unwrap_err().to_string(),
            "/etc/countersign/server.toml:6:1: `observe.otlp_endpoint`: this build cannot send traces; \
             build with `--features otel`"
        );
    }
    for wrong in
        ["127.0.0.1:4318", "grpc://collector.test", "https://", "http://name:secret@collector.test", "http://a/?b"]
    {
        let told = told(&with(wrong), &[]);
        assert!(told.contains("is not the URL of a collector; write it as"), "{told}");
    }
}

/// What docs/operations.md says of a key: its name, its variable, and its default where that is a value.
fn documented() -> Vec<(String, String, Option<String>)> {
    let text = include_str!("../../../docs/operations.md");
    let value = |cell: &str| cell.trim().strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).map(str::to_owned);
    text.lines()
        .filter(|line| line.contains("| `COUNTERSIGN__"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            (value(cells[1]).unwrap(), value(cells[2]).unwrap(), value(cells[3]))
        })
        .collect()
}

#[test]
fn the_documented_keys_are_those_there_are() {
    let listed = |text: &str, what: &str| {
        let told = told(text, &[]);
        let (_, list) = told.split_once(what).unwrap_or_else(|| panic!("{told}"));
        list.lines().next().unwrap().split(", ").map(str::to_owned).collect::<Vec<_>>()
    };
    let mut keys = Vec::new();
    for section in listed(&format!("{LEAST}[qqqqqqqqqqqqqqqqqqqqqqqqqqqqq]\nx = 1\n"), "the sections are ") {
        // The name of no key, and like none.
        let text = format!("{section}.qqqqqqqqqqqqqqqqqqqqqqqqqqqqq = 1\n{LEAST}");
        let text = match section.as_str() {
            "database" => LEAST.replace("[keys]", "qqqqqqqqqqqqqqqqqqqqqqqqqqqqq = 1\n[keys]"),
            "keys" => format!("{LEAST}qqqqqqqqqqqqqqqqqqqqqqqqqqqqq = 1\n"),
            _ => text,
        };
        keys.extend(listed(&text, "the keys there are "));
    }
    let mut documented: Vec<String> = documented().into_iter().map(|(key, _, _)| key).collect();
    keys.sort();
    documented.sort();
    assert_eq!(documented, keys);
}

#[test]
fn the_documented_variables_and_defaults_are_true() {
    // With these every section is there, so that every default shows.
    let base = [
        ("COUNTERSIGN__DATABASE__URL", "postgres://countersign@db.test/countersign"),
        ("COUNTERSIGN__MAIL__SMTP", "smtp.test"),
        ("COUNTERSIGN__MAIL__FROM", "no-reply@example.test"),
    ];
    let without = format!("{:?}", parse(LEAST, &base).unwrap());
    let mut values = 0;
    for (key, variable, default) in documented() {
        assert_eq!(variable, format!("COUNTERSIGN__{}", key.to_uppercase().replace('.', "__")));
        if let Some(default) = default {
            let with = parse(LEAST, &[&base[..], &[(&variable, &default)]].concat()).unwrap();
            assert_eq!(format!("{with:?}"), without, "{key}");
            values += 1;
        }
    }
    assert!(values > 15, "{values}");
}

#[test]
fn text_messages_need_what_their_provider_needs_and_never_cross_a_network_in_clear() {
    let with = |lines: &str| format!("{LEAST}[sms]\n{lines}\n");
    let webhook = told(&with("provider = \"webhook\""), &[]);
    assert!(
        webhook.contains("`sms.url`: it is missing") && webhook.contains("`sms.secret_file`: it is missing"),
        "{webhook}"
    );
    let twilio = told(&with("provider = \"twilio\""), &[]);
    for key in ["sms.account", "sms.from", "sms.credentials_file"] {
        assert!(twilio.contains(&format!("`{key}`: it is missing")), "{twilio}");
    }
    for wrong in ["http://messages.test/send", "http://localhost.evil.test/", "ftp://x", "https://", "https://a b"] {
        let told = told(&with(&format!("provider = \"webhook\"\nsecret_file = \"s\"\nurl = \"{wrong}\"")), &[]);
        assert!(told.contains("is not an https URL"), "{wrong}: {told}");
    }
    for right in ["https://messages.test", "http://127.0.0.1:8080/send", "http://localhost/x"] {
        let text = with(&format!("provider = \"webhook\"\nsecret_file = \"s\"\nurl = \"{right}\""));
        assert!(parse(&text, &[]).is_ok(), "{right}");
    }
}
