//! Every mistake by its line, its key and its remedy.

use countersign::tenant_file::{load, load_text};

/// The problems of a text, as they are printed.
fn problems(text: &str) -> Vec<String> {
    match load_text("t.toml", text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// A tenant with a source, a group, a person and a client, followed by `more`; `more` begins on line 20.
fn with(more: &str) -> String {
    let base = r#"[[tenant]]
id = "t"
urls = ["https://t.example.test"]
[[tenant.sources]]
id = "11111111-1111-4111-8111-111111111111"
name = "People"
realm = "people"
[[tenant.groups]]
id = "G1"
name = "STAFF"
[[tenant.users]]
id = "AAAAAAAAA1"
username = "ann"
password = "secret-of-ann"
groups = ["STAFF"]
[[tenant.clients]]
id = "c1"
secret = "s"
grant_types = ["client_credentials"]
"#;
    format!("{base}{more}")
}

#[test]
fn the_base_of_the_other_cases_is_right() {
    assert_eq!(problems(&with("")), Vec::<String>::new());
    assert_eq!(with("").lines().count(), 19);
}

#[test]
fn each_mistake_has_its_place_and_its_remedy() {
    let uuid = "22222222-2222-4222-8222-222222222222";
    let cases: Vec<(String, &[&str])> = vec![
        // The file as a whole.
        (String::new(), &["t.toml:1:1: the file holds no tenant; begin one with `[[tenant]]`"]),
        ("tenant = 3".to_owned(), &["t.toml:1:10: tenant: a whole number where a list is wanted"]),
        (
            "[[tenant]]\n".to_owned(),
            &[
                "t.toml:1:1: tenant[0]: `id` is missing; give a short lower-case name such as `id = \"demo\"`",
                "t.toml:1:1: tenant[0]: `urls` is missing; give the base URLs it answers under: \
                 `urls = [\"https://login.example.test\"]`",
            ],
        ),
        (
            "[[tenant]]\nid = \"Big One\"\nurls = [\"https://a.test/\", \"ftp://a.test\", \"https://b.test\", \"https://B.test:443\"]\n"
                .to_owned(),
            &[
                "t.toml:2:6: tenant[0].id: `Big One` is no tenant id; use 1 to 63 of `a-z`, `0-9` and `-`",
                "t.toml:3:9: tenant[0].urls[0]: `https://a.test/` is no base URL; write scheme, host and perhaps port, \
                 nothing behind: `https://login.example.test`",
                "t.toml:3:28: tenant[0].urls[1]: `ftp://a.test` is no base URL; write scheme, host and perhaps port, \
                 nothing behind: `https://login.example.test`",
                "t.toml:3:62: tenant[0].urls[3]: `b.test` is answered for already (t.toml, line 3); requests find their \
                 tenant by host and port: give each pair to one tenant, once",
            ],
        ),
        (
            with("[[tenant]]\nid = \"t\"\nurls = [\"https://t.example.test\"]\n"),
            &[
                "t.toml:21:6: tenant[1].id: tenant `t` is there already (t.toml, line 2); give each its own id",
                "t.toml:22:9: tenant[1].urls[0]: `t.example.test` is answered for already (t.toml, line 3); requests find \
                 their tenant by host and port: give each pair to one tenant, once",
            ],
        ),
        // Unknown keys, at every depth; with a slip the name that was meant.
        (
            with("grant_typs = []\n[tenant.settings]\nlock_afer = 3\nemail_otp = { lenght = 6, retries = \"x\" }\n[tenants]\n"),
            &[
                "t.toml:20:1: tenant[0].clients[0].grant_typs: unknown key; did you mean `grant_types`?",
                "t.toml:22:1: tenant[0].settings.lock_afer: unknown key; did you mean `lock_after`?",
                "t.toml:23:15: tenant[0].settings.email_otp.lenght: unknown key; did you mean `length`?",
                "t.toml:23:37: tenant[0].settings.email_otp.retries: string \"x\", expected a whole number from 0 to 255",
                "t.toml:24:2: tenants: unknown key; did you mean `tenant`?",
            ],
        ),
        (
            with("[dev]\ncolour = 1\n"),
            &["t.toml:21:1: dev.colour: unknown key; known here: `requests`"],
        ),
        // Bounds of settings.
        (
            with("[tenant.settings]\nlock_after = 0\nmail_from = \"nobody\"\nemail_otp = { length = 3 }\ntexts = { de = { \"code.fax.txt\" = \
                  \"x\", \"code.email.txt\" = \"Ihr Code: {{ code }}\" } }\n"),
            &[
                "t.toml:21:14: tenant[0].settings.lock_after: must be at least 1, or nobody could sign in",
                "t.toml:22:13: tenant[0].settings.mail_from: must be a mail address",
                "t.toml:23:13: tenant[0].settings.email_otp: `length` must leave at least 10000 different codes, and be \
                 at most 64",
                "t.toml:24:16: tenant[0].settings.texts.de: no text is named `code.fax.txt`",
            ],
        ),
        // What people may do for themselves, and the terms they are asked to accept.
        (
            with("[tenant.settings]\nbypass = { most = 51 }\ndevices = { generators = 0 }\n[tenant.settings.self_service]\nlink_lifetime = 5\n\
                  link_url = \"login.example.test\"\n[tenant.settings.self_service.profiles.staff]\nattributes = [\"userName\", \"active\", \
                  \"shoeSize\"]\ngroups = [\"STAF\"]\nmail_domains = [\"@example.test\"]\nheader_text = { \"in English\" = \"x\" }\n\
                  [tenant.settings.terms.house]\nexpiry_days = 0\nstatements = [\"house-em\", \"house-en\", \"house-uk\"]\n\
                  [tenant.settings.terms_statements.house-en]\nlocale = \"en\"\nstatement = \"Be kind.\"\n\
                  [tenant.settings.terms_statements.house-uk]\nlocale = \"EN\"\nstatement = \"\"\n"),
            &[
                "t.toml:21:19: tenant[0].settings.bypass.most: must be from 1 to 50",
                "t.toml:22:26: tenant[0].settings.devices.generators: must be from 1 to 100",
                "t.toml:24:17: tenant[0].settings.self_service.link_lifetime: must be from 60 to 86400 seconds",
                "t.toml:25:12: tenant[0].settings.self_service.link_url: must be a URL without query or fragment; such as \
                 `https://login.example.test`: the page is added behind it",
                "t.toml:27:14: tenant[0].settings.self_service.profiles.staff.attributes: `emails` is missing, which is to \
                 be confirmed; or set `confirm_mail = false`",
                "t.toml:27:27: tenant[0].settings.self_service.profiles.staff.attributes[1]: `active` is not people's own \
                 to give; remove it",
                "t.toml:27:37: tenant[0].settings.self_service.profiles.staff.attributes[2]: people have no attribute \
                 `shoeSize`; as SCIM names it",
                "t.toml:28:11: tenant[0].settings.self_service.profiles.staff.groups[0]: no group `STAF` in this tenant; \
                 did you mean `STAFF`?",
                "t.toml:29:17: tenant[0].settings.self_service.profiles.staff.mail_domains[0]: is no mail domain; such as \
                 `example.test`, without `@`",
                "t.toml:30:32: tenant[0].settings.self_service.profiles.staff.header_text.in English: is no language; as \
                 `en` or `de-CH` (BCP 47)",
                "t.toml:32:15: tenant[0].settings.terms.house.expiry_days: must be from 1 to 36500 days; leave it out for \
                 never",
                "t.toml:33:15: tenant[0].settings.terms.house.statements[0]: no statement `house-em` in this tenant; did \
                 you mean `house-en`?",
                "t.toml:33:39: tenant[0].settings.terms.house.statements[2]: there is another statement in `en`; give one \
                 for each language",
                "t.toml:39:13: tenant[0].settings.terms_statements.house-uk.statement: must be 1 to 4096 bytes",
            ],
        ),
        // The look of pages and their words.
        (
            with("[tenant.settings]\nlook = { title = \"\", accent = \"red\", logo = \"x\" }\n\
                  texts = { de = { \"page.sign_in.titel\" = \"x\", \"page.sign_in.submit\" = \"{password}\" } }\n"),
            &[
                "t.toml:21:18: tenant[0].settings.look.title: must be 1 to 60 characters",
                "t.toml:21:31: tenant[0].settings.look.accent: must be a colour in the form `#rrggbb`",
                "t.toml:21:38: tenant[0].settings.look.logo: unknown key; known here: `accent`, `accent_dark`, `logo_uri`, \
                 `title`",
                "t.toml:22:16: tenant[0].settings.texts.de: `page.sign_in.submit` has no place `password`",
                "t.toml:22:16: tenant[0].settings.texts.de: no text is named `page.sign_in.titel`",
            ],
        ),
        // Dangling references, each by the kind of thing it names.
        (
            with(&format!(
                "policy = 7\nentitled_users = [\"bob\"]\nentitled_groups = [\"STAF\"]\n[[tenant.enrolments]]\nid = \"{uuid}\"\n\
                 user = \"an\"\nkind = \"email-otp\"\naddress = \"ann@example.test\"\n[[tenant.users]]\nid = \"AAAAAAAAA2\"\n\
                 username = \"cy\"\nsource = \"33333333-3333-4333-8333-333333333333\"\ngroups = [\"G2\"]\n"
            )),
            &[
                "t.toml:20:10: tenant[0].clients[0].policy: no policy `7` in this tenant; add it as \
                 `[[tenant.policies]]` or name another",
                "t.toml:21:19: tenant[0].clients[0].entitled_users[0]: no user `bob` in this tenant; add it as \
                 `[[tenant.users]]` or name another",
                "t.toml:22:20: tenant[0].clients[0].entitled_groups[0]: no group `STAF` in this tenant; did you mean \
                 `STAFF`?",
                "t.toml:25:8: tenant[0].enrolments[0].user: no user `an` in this tenant; did you mean `ann`?",
                "t.toml:31:10: tenant[0].users[1].source: no identity source \
                 `33333333-3333-4333-8333-333333333333` in this tenant; add it as `[[tenant.sources]]` or name another",
                "t.toml:32:11: tenant[0].users[1].groups[0]: no group `G2` in this tenant; did you mean `G1`?",
            ],
        ),
        (
            with(&format!(
                "[[tenant.enrolments]]\nid = \"{uuid}\"\nuser = \"ann\"\nkind = \"passkey\"\nrelying_party = \"{uuid}\"\n\
                 credential_id = \"AQID\"\npublic_key = \"pQECAyYgASFYIA\"\n"
            )),
            &[
                "t.toml:24:17: tenant[0].enrolments[0].relying_party: no relying party \
                 `22222222-2222-4222-8222-222222222222` in this tenant; add it as `[[tenant.relying_parties]]` or name \
                 another",
                "t.toml:26:14: tenant[0].enrolments[0].public_key: not base64url of 16 to 2048 bytes; RFC 4648 §5: `-` \
                 and `_` in place of `+` and `/`",
            ],
        ),
        // Things that are there twice.
        (
            with(
                "[[tenant.clients]]\nid = \"c1\"\nsecret = \"s\"\n[[tenant.users]]\nid = \"AAAAAAAAA1\"\nusername = \"ANN\"\n\
                 [[tenant.groups]]\nid = \"G1\"\nname = \"STAFF\"\n",
            ),
            &[
                "t.toml:21:6: tenant[0].clients[1].id: client `c1` is there already, on line 17; give each its own, or \
                 remove one",
                "t.toml:24:6: tenant[0].users[1].id: user `AAAAAAAAA1` is there already, on line 12; give each its own, \
                 or remove one",
                "t.toml:25:12: tenant[0].users[1].username: login name `11111111-1111-4111-8111-111111111111 ann` is \
                 there already, on line 13; give each its own, or remove one",
                "t.toml:27:6: tenant[0].groups[1].id: group `G1` is there already, on line 9; give each its own, or \
                 remove one",
                "t.toml:28:8: tenant[0].groups[1].name: group name `STAFF` is there already, on line 10; give each its \
                 own, or remove one",
            ],
        ),
        // Clients that could not work, or could do harm.
        (
            with(
                "[[tenant.clients]]\nid = \"c2\"\ngrant_types = [\"client_credential\"]\nredirect_uris = \
                 [\"https://a.test/cb\", \"javascript:alert(1)\", \"/cb\", \"https://a.test/#x\"]\nnetworks = [\"10.0.0.0/33\"]\n",
            ),
            &[
                "t.toml:20:1: tenant[0].clients[1]: the client has no secret; give `secret` or `secret_sha256`, or set \
                 `auth_method = \"none\"`",
                "t.toml:22:16: tenant[0].clients[1].grant_types[0]: no grant type `client_credential`; did you mean \
                 `client_credentials`?",
                "t.toml:23:39: tenant[0].clients[1].redirect_uris[1]: `javascript:alert(1)` would run or show something \
                 instead of going somewhere; give an absolute URI, compared character for character",
                "t.toml:23:62: tenant[0].clients[1].redirect_uris[2]: `/cb` is not absolute; give an absolute URI, \
                 compared character for character",
                "t.toml:23:69: tenant[0].clients[1].redirect_uris[3]: `https://a.test/#x` has a fragment; give an \
                 absolute URI, compared character for character",
                "t.toml:24:13: tenant[0].clients[1].networks[0]: `10.0.0.0/33` is no network; write an address or CIDR, \
                 such as `10.0.0.0/8`",
            ],
        ),
        (
            with(
                "secret_sha256 = \"abc\"\n[[tenant.clients]]\nid = \"c2\"\nauth_method = \"none\"\n\
                 grant_types = [\"client_credentials\"]\n[[tenant.clients]]\nid = \"c3\"\nauth_method = \"private_key_jwt\"\n\
                 [[tenant.clients]]\nid = \"c4\"\nauth_method = \"basic\"\nsecret = \"s\"\njwks = { keys = [{ kty = \"oct\" }, \
                 { kty = \"EC\", d = \"AQ\" }] }\n",
            ),
            &[
                "t.toml:20:17: tenant[0].clients[0].secret_sha256: both `secret` and `secret_sha256` are given; keep one \
                 of them",
                "t.toml:20:17: tenant[0].clients[0].secret_sha256: not a SHA-256 in base64url; hash a random secret: 43 \
                 characters come out",
                "t.toml:21:1: tenant[0].clients[1]: a public client cannot have `client_credentials`: there is nothing \
                 to prove; remove the grant type, or give the client a secret or keys",
                "t.toml:25:1: tenant[0].clients[2]: the client has no keys to verify its assertions with; give `jwks` or \
                 `jwks_uri`",
                "t.toml:30:15: tenant[0].clients[3].auth_method: unknown variant `basic`, expected one of `default`, \
                 `client_secret_basic`, `client_secret_post`, `private_key_jwt`, `none`",
                "t.toml:32:18: tenant[0].clients[3].jwks.keys[0]: no public key has the type `oct`; use `RSA`, `EC` or \
                 `OKP`",
                "t.toml:32:35: tenant[0].clients[3].jwks.keys[1]: this is a private key; give the public half only: leave \
                 out `d` and what follows it",
            ],
        ),
        // What only other ways may set.
        (
            with("not_before = 5\nsecrets = []\nkeys = \"none\"\n"),
            &[
                "t.toml:20:1: tenant[0].clients[0].not_before: unknown key; docs/tenant-file.md tells what may be given here",
                "t.toml:21:1: tenant[0].clients[0].secrets: unknown key; did you mean `secret`?",
                "t.toml:22:1: tenant[0].clients[0].keys: unknown key; docs/tenant-file.md tells what may be given here",
            ],
        ),
        // Factors.
        (
            with(&format!(
                "[[tenant.enrolments]]\nid = \"x\"\nuser = \"ann\"\nkind = \"totp\"\nsecret = \"short\"\ndigits = 3\n\
                 [[tenant.enrolments]]\nid = \"{uuid}\"\nuser = \"ann\"\nkind = \"sms-otp\"\naddress = \"0123\"\n\
                 [[tenant.enrolments]]\nid = \"{uuid}\"\nuser = \"ann\"\nkind = \"smoke\"\nsignal = 3\n"
            )),
            &[
                "t.toml:21:6: tenant[0].enrolments[0].id: `x` is not a UUID in lower case; clients look for that form \
                 only",
                "t.toml:24:10: tenant[0].enrolments[0].secret: the secret is not base32 of 16 to 128 bytes; RFC 4648 §6: \
                 letters `A-Z` and digits `2-7`",
                "t.toml:25:10: tenant[0].enrolments[0].digits: 3 is out of bounds; from 6 to 12",
                "t.toml:30:11: tenant[0].enrolments[1].address: `0123` is not a telephone number in international form \
                 (`+4930123456`)",
                "t.toml:32:6: tenant[0].enrolments[2].id: enrolment `22222222-2222-4222-8222-222222222222` is there \
                 already, on line 27; give each its own, or remove one",
                "t.toml:34:8: tenant[0].enrolments[2].kind: `smoke` is no kind of factor that can be enrolled here; one \
                 of `email-otp`, `sms-otp`, `voice-otp`, `totp`, `passkey`",
            ],
        ),
        // Relying parties browsers would not serve.
        (
            with(&format!(
                "[[tenant.relying_parties]]\nid = \"{uuid}\"\nrp_id = \"example.test\"\norigins = [\"https://evil.test\", \
                 \"http://example.test\", \"https://a.example.test:8443\"]\n"
            )),
            &[
                "t.toml:23:12: tenant[0].relying_parties[0].origins[0]: `https://evil.test` is not at `example.test`; use \
                 an origin at `example.test` or below it, or change `rp_id`",
                "t.toml:23:33: tenant[0].relying_parties[0].origins[1]: browsers run no ceremony at \
                 `http://example.test`; use `https`",
            ],
        ),
        // Keys.
        (
            with("[[tenant.keys]]\nalg = \"ES256\"\n[[tenant.keys]]\nalg = \"ES256\"\n[[tenant.keys]]\nalg = \"HS256\"\n"),
            &[
                "t.toml:16:1: tenant[0].clients[0].id_token_alg: the tenant holds no key for \"RS256\"; add \
                 `[[tenant.keys]]` with `alg = \"RS256\"`, or set another algorithm",
                "t.toml:20:1: tenant[0].keys: no key signs with RS256, as the assertions of factors must be; add a key \
                 with `alg = \"RS256\"`, or leave `keys` out to have one of each algorithm",
                "t.toml:22:1: tenant[0].keys[1]: a second key of this algorithm; one key of each algorithm signs; \
                 `countersign keys rotate` replaces it",
                "t.toml:25:7: tenant[0].keys[2].alg: no signature algorithm `HS256`; one of `RS256`, `ES256`, `EdDSA`, \
                 `PS256`",
            ],
        ),
        // People.
        (
            with(
                "[[tenant.users]]\nid = \"lower\"\nusername = \"\"\npassword = \"a\"\npassword_hash = \"$1$md5\"\nactive = \
                 \"yes\"\n",
            ),
            &[
                "t.toml:21:6: tenant[0].users[1].id: `lower` is no user id; use upper-case letters and digits, normally \
                 ten",
                "t.toml:24:17: tenant[0].users[1].password_hash: both `password` and `password_hash` are given; keep one \
                 of them",
                "t.toml:24:17: tenant[0].users[1].password_hash: not a password hash we can verify; give a hash of \
                 Argon2, scrypt or PBKDF2 in PHC form (`$argon2id$v=19$…`), of bcrypt (`$2b$…`), or `{SSHA512}…`",
                "t.toml:25:10: tenant[0].users[1].active: text where `true` or `false` is wanted",
            ],
        ),
    ];
    let mut wrong = String::new();
    for (text, expected) in cases {
        let found = problems(&text);
        let matches = found == expected;
        if !matches {
            wrong += &format!("of\n{text}\nfound:\n{}\nexpected:\n{}\n\n", found.join("\n"), expected.join("\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn all_syntax_errors_are_told_with_their_place() {
    let found = problems("[[tenant]\nid = \n");
    assert!(!found.is_empty());
    assert!(
        found.iter().all(|problem| problem.starts_with("t.toml:1:") || problem.starts_with("t.toml:2:")),
        "{found:?}"
    );
}

#[test]
fn a_policy_is_wrong_in_the_place_of_its_mistake() {
    let found = problems(&with(
        "[[tenant.policies]]\nid = 1\nname = \"P\"\nmeta = { state = \"ACTIVE\", enforcementType = \"nativeAppWeb\", \
         evaluationContext = { landing = \"9\" } }\n[[tenant.policies.rules]]\nname = \"R\"\nalwaysRun = false\nfirstFactor = true\n\
         conditions = [{ type = \"ipAddress\", opCode = \"MATCH\", values = [\"10.0.0.0/40\"] }]\n\
         result = { action = \"ACTION_SHRUG\", authnMethods = [] }\n",
    ));
    assert!(found.iter().any(|p| p.starts_with("t.toml:23:94: tenant[0].policies[0].meta.evaluationContext.landing: no policy `9`")), "{found:#?}");
    assert!(
        found.iter().any(|p| p.starts_with("t.toml:28:") && p.contains("rules[0].conditions[0].values")),
        "{found:#?}"
    );
    assert!(found.iter().any(|p| p.starts_with("t.toml:29:") && p.contains("`ACTION_SHRUG`")), "{found:#?}");
}

#[test]
fn no_problem_repeats_a_secret() {
    let marker = "Marker-of-a-secret";
    let text = with(&format!(
        "[[tenant.users]]\nid = \"AAAAAAAAA2\"\nusername = \"bo\"\npassword = \"{marker}\\u0000\"\n[[tenant.users]]\nid = \
         \"AAAAAAAAA3\"\nusername = \"cy\"\npassword_hash = \"{marker}\"\n[[tenant.clients]]\nid = \"c2\"\nsecret = \
         \"{marker}\\u0001\"\n[[tenant.clients]]\nid = \"c3\"\nsecret_sha256 = \"{marker}\"\n[[tenant.enrolments]]\nid = \
         \"22222222-2222-4222-8222-222222222222\"\nuser = \"ann\"\nkind = \"totp\"\nsecret = \"{marker}\"\n"
    ));
    let found = problems(&text);
    assert!(found.len() >= 5, "{found:#?}");
    assert!(!found.join("\n").contains(marker), "{found:#?}");
    let debug = format!("{:?}", load_text("t.toml", &with("")).unwrap());
    assert!(!debug.contains("secret-of-ann"), "{debug}");
}

#[test]
fn several_files_of_a_directory_are_one_and_their_tenants_may_not_collide() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.toml"), with("")).unwrap();
    std::fs::write(dir.path().join("b.toml"), "[[tenant]]\nid = \"u\"\nurls = [\"https://u.example.test\"]\n").unwrap();
    std::fs::write(dir.path().join("notes.txt"), "not read").unwrap();
    let ids: Vec<String> = load(dir.path()).unwrap().tenants.iter().map(|part| part.tenant.id.to_string()).collect();
    assert_eq!(ids, ["t", "u"]);

    std::fs::write(dir.path().join("c.toml"), "[[tenant]]\nid = \"u\"\nurls = [\"https://T.example.test:443\"]\n")
        .unwrap();
    let found: Vec<String> = load(dir.path()).unwrap_err().iter().map(ToString::to_string).collect();
    let at = dir.path().join("c.toml").display().to_string();
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with(&format!("{at}:2:6: tenant[0].id: tenant `u` is there already")), "{found:#?}");
    assert!(found[1].contains("`t.example.test` is answered for already"), "{found:#?}");
}

#[test]
fn a_file_that_is_not_there_is_a_problem_of_its_own() {
    let found = load(std::path::Path::new("/nonexistent/tenant.toml")).unwrap_err();
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().starts_with("/nonexistent/tenant.toml: cannot be read: "), "{}", found[0]);
    let dir = tempfile::tempdir().unwrap();
    assert!(load(dir.path()).unwrap_err()[0].to_string().contains("the directory holds no `*.toml`"));
}
