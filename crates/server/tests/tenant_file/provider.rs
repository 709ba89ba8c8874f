//! What a client is set to as a relying party, judged when the file is read.

use countersign::tenant_file::load_text;

/// A tenant with one client of these fields; they begin on line 8.
fn problems(fields: &str) -> Vec<String> {
    let text = format!(
        "[[tenant]]\nid = \"t\"\nurls = [\"https://t.example.test\"]\n[[tenant.clients]]\nid = \"c\"\nsecret = \"s\"\n\
         grant_types = [\"authorization_code\"]\n{fields}\n"
    );
    match load_text("t.toml", &text) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn settings_that_cannot_work_are_told_with_their_field() {
    for (field, good, bad) in [
        ("request_object_encryption", "[\"RSA-OAEP\", \"A256GCM\"]", "[\"RSA1_5\", \"A256GCM\"]"),
        ("request_object_encryption", "[\"ECDH-ES\", \"A128CBC-HS256\"]", "[\"ECDH-ES\", \"A192GCM\"]"),
        ("request_object_signing_alg", "\"none\"", "\"HS256\""),
        ("token_endpoint_auth_signing_alg", "\"ES384\"", "\"none\""),
        ("initiate_login_uri", "\"https://app.example.test/l\"", "\"http://app.example.test/l\""),
        ("sector_identifier_uri", "\"https://app.example.test/s\"", "\"nowhere\""),
        ("backchannel_logout_uri", "\"https://app.example.test/b\"", "\"http://app.example.test/b\""),
        ("frontchannel_logout_uri", "\"https://app.example.test/f\"", "\"javascript:alert(1)\""),
        ("logo_uri", "\"https://app.example.test/logo.png\"", "\"data:image/png;base64,AA\""),
        ("request_uris", "[\"https://app.example.test/r\"]", "[\"http://app.example.test/r\"]"),
        ("authorization_code_lifetime", "60", "0"),
        ("device_code_lifetime", "300", "86401"),
        ("device_interval", "5", "1"),
        ("user_code_length", "8", "5"),
        ("default_max_age", "0", "-1"),
        ("id_token_lifetime", "60", "0"),
    ] {
        assert_eq!(problems(&format!("{field} = {good}")), Vec::<String>::new(), "{field} = {good}");
        let told = problems(&format!("{field} = {bad}"));
        assert_eq!(told.len(), 1, "{field} = {bad}: {told:?}");
        assert!(told[0].contains(&format!("tenant[0].clients[0].{field}: ")), "{told:?}");
    }
}

#[test]
fn answers_are_encrypted_only_to_clients_with_keys_and_sectors_must_be_clear() {
    let told = problems("id_token_encryption = [\"RSA-OAEP\", \"A256GCM\"]");
    assert!(told.len() == 1 && told[0].contains("no key to encrypt to"), "{told:?}");
    let uris = "redirect_uris = [\"https://a.example.test/\", \"https://b.example.test/\"]";
    let told = problems(&format!("pairwise = true\n{uris}"));
    assert!(told.len() == 1 && told[0].contains("belong to no one sector"), "{told:?}");
    let declared = "sector_identifier_uri = \"https://a.example.test/s.json\"";
    assert_eq!(problems(&format!("pairwise = true\n{uris}\n{declared}")), Vec::<String>::new());
}
