//! The SQL of the store stays within what PostgreSQL and the databases that speak its dialect and distribute themselves
//! (CockroachDB, YugabyteDB) have in common. Nothing here runs on them; it holds back what they are known not to have.

use std::path::{Path, PathBuf};

/// Words that must not stand in a statement, each with why.
const FOREIGN: &[(&str, &str)] = &[
    ("ADVISORY", "advisory locks are accepted and ignored, or refused"),
    ("LISTEN ", "there are no notifications"),
    ("NOTIFY ", "there are no notifications"),
    ("LOCK TABLE", "there are no table locks"),
    ("SKIP LOCKED", "not everywhere, and a lease does it"),
    ("SERIAL", "ids made by the database are a hot spot, or no sequence"),
    ("NEXTVAL", "a sequence is a hot spot"),
    ("CREATE TRIGGER", "triggers are new or absent"),
    ("CREATE FUNCTION", "procedures are new or absent"),
    ("CREATE EXTENSION", "extensions are PostgreSQL's own"),
    ("EXCLUDE USING", "exclusion constraints are absent"),
    ("DEFERRABLE", "deferred constraints are absent"),
    ("TEMPORARY TABLE", "experimental"),
    ("TEMP TABLE", "experimental"),
    ("XMIN", "system columns are PostgreSQL's own"),
    ("CTID", "system columns are PostgreSQL's own"),
    ("TABLESPACE", "absent"),
    ("UNLOGGED", "absent"),
    ("VACUUM", "absent"),
    ("FOREIGN KEY", "each write would read another range, perhaps in another region"),
    ("REFERENCES ", "the same"),
    ("SELECT *", "a column that a newer version adds would change the result of a prepared statement"),
    ("RETURNING *", "the same"),
    ("NOW()", "the time comes from outside"),
    ("CURRENT_TIMESTAMP", "the time comes from outside"),
    ("RANDOM()", "chance comes from outside"),
];

fn files(under: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_str().unwrap().ends_with(ending) {
            found.push(path);
        }
    }
}

/// The text between quotes of a source, and all of a migration but its comments, upper case.
fn statements(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let kept: Vec<&str> = if path.extension().is_some_and(|kind| kind == "sql") {
        text.lines().filter(|line| !line.trim_start().starts_with("--")).collect()
    } else {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        return code
            .collect::<Vec<_>>()
            .join("\n")
            .split('"')
            .skip(1)
            .step_by(2)
            .collect::<Vec<_>>()
            .join("\n")
            .to_uppercase();
    };
    kept.join("\n").to_uppercase()
}

#[test]
fn no_statement_asks_for_what_a_compatible_database_lacks() {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store");
    let mut all = Vec::new();
    files(&store.join("src"), ".rs", &mut all);
    files(&store.join("migrations"), ".sql", &mut all);
    let mut seen = 0;
    for path in all {
        let text = statements(&path);
        seen += text.matches("INSERT INTO").count();
        for (word, why) in FOREIGN {
            let may = match *word {
                // A copy of a database in use is SQLite's alone.
                "VACUUM" => path.ends_with("backup.rs"),
                // In no transaction, and a database that refuses them is followed by asking, as well as before: the contract of
                // the store tries it against one that does.
                "LISTEN " | "NOTIFY " => path.ends_with("postgres/listen.rs"),
                _ => false,
            };
            assert!(may || !text.contains(word), "`{word}` in {}: {why}", path.display());
        }
        // Who claims rows in a subquery must say how many, or two nodes take all of each other's.
        assert!(!text.contains("FOR UPDATE") || path.ends_with("migrate.rs"), "{}", path.display());
    }
    assert!(seen > 20, "the statements were looked at");
}
