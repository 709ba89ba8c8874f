//! The vendor's published use case "Generating Access Token Using Authentication API", request by request as it is printed, with the
//! host changed.

use serde_json::{Value, json};

use crate::support::oracle::{AUTHENTICATE, CLIENT, SECRET};
use crate::support::{TestServer, names};

/// The same members, whatever their order; what the printed sample made up is compared by its kind alone.
#[track_caller]
fn same_shape(said: &Value, printed: &Value, at: &str) {
    match (said, printed) {
        (Value::Object(said), Value::Object(printed)) => {
            let keys = |map: &serde_json::Map<String, Value>| {
                let mut keys: Vec<String> = map.keys().cloned().collect();
                keys.sort();
                keys
            };
            assert_eq!(keys(said), keys(printed), "{at}");
            for (name, value) in printed {
                same_shape(&said[name], value, &format!("{at}.{name}"));
            }
        }
        (Value::Array(said), Value::Array(printed)) => {
            assert_eq!(said.len(), printed.len(), "{at}");
            for (index, (said, printed)) in said.iter().zip(printed).enumerate() {
                same_shape(said, printed, &format!("{at}[{index}]"));
            }
        }
        (Value::String(said), Value::String(printed)) if printed.starts_with('<') => {
            assert!(!said.is_empty(), "{at}");
        }
        (said, printed) => assert_eq!(said, printed, "{at}"),
    }
}

#[tokio::test]
async fn a_person_is_known_by_a_token_that_came_of_the_authentication_api() {
    let server = TestServer::start().await;
    let token = server.page().await.token;

    // Step 1: begin the authentication flow.
    let begun = server.ask("GET", AUTHENTICATE).bearer(&token).send().await;
    assert_eq!(begun.status, 200, "{}", begun.text());
    let begun: Value = serde_json::from_slice(&begun.body).unwrap();
    let printed = json!({
        "status": "success",
        "ecId": "<5fR1O171000000000>",
        "nextOp": ["credSubmit"],
        "nextAuthFactors": ["USERNAME_PASSWORD"],
        "USERNAME_PASSWORD": { "credentials": ["username", "password"] },
        "requestState": "<BC4LO/oKGHPryRorg...FEmtjUykWhOFZ5ZM>",
    });
    same_shape(&begun, &printed, "step 1");

    // Step 2: submit the user's credentials, printed with blanks and breaks as it is.
    let state = begun["requestState"].as_str().unwrap();
    let body = format!(
        "{{  \n   \"op\":\"credSubmit\",\n   \"credentials\":{{  \n      \"username\":\"admin@oracle.com\",\n      \
         \"password\":\"Welc0me@1\"\n   }},\n   \"requestState\": \"{state}\"\n}}"
    );
    let proved = server.ask("POST", AUTHENTICATE).bearer(&token).body("application/json", body).send().await;
    assert_eq!(proved.status, 200, "{}", proved.text());
    let proved: Value = serde_json::from_slice(&proved.body).unwrap();
    let printed = json!({ "authnToken": "<eyJ4NXQjUzI1NiI6>", "status": "success", "ecId": "<5fR1O171000000000>" });
    same_shape(&proved, &printed, "step 2");
    let authn = proved["authnToken"].as_str().unwrap();
    assert!(authn.starts_with("eyJ4NXQjUzI1NiI6"), "{authn}");

    // Step 3: generate the access token, the scope as unescaped as it is printed.
    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&scope=urn:opc:idm:__myscopes__&assertion={authn}"
    );
    let ask = server.ask("POST", "/oauth2/v1/token").basic(CLIENT, SECRET);
    let given = ask.body("application/x-www-form-urlencoded", form).send().await.expect(200);
    let printed = json!({ "access_token": "<eyJ4NXQjUzI1NiI6>", "token_type": "Bearer", "expires_in": 7600 });
    same_shape(&given, &printed, "step 3");
    assert_eq!(names(&given), ["access_token", "token_type", "expires_in"]);
    let access = given["access_token"].as_str().unwrap();
    assert!(access.starts_with("eyJ4NXQjUzI1NiI6"), "{access}");

    // Step 4: obtain user information.
    let me = server.get("/admin/v1/Me", access).await.expect(200);
    let user = "urn:ietf:params:scim:schemas:oracle:idcs:extension:user:User";
    let state = "urn:ietf:params:scim:schemas:oracle:idcs:extension:userState:User";
    let email = |kind: &str, primary: bool| json!({ "verified": false, "primary": primary, "secondary": false, "value": "admin@oracle.com", "type": kind });
    let printed = json!({
        "idcsCreatedBy": { "type": "App", "display": "<idcssm>", "value": "<id>", "$ref": "<url>" },
        "id": "de94e8399a0e4f23ac52fc681f5fb828",
        "meta": {
            "created": "<2018-12-12T09:46:53.646Z>",
            "lastModified": "<2018-12-13T10:35:32.604Z>",
            "resourceType": "Me",
            "location": format!("{}/admin/v1/Me/de94e8399a0e4f23ac52fc681f5fb828", server.cast.base),
        },
        "active": true,
        "displayName": "admin opc",
        "idcsLastModifiedBy": { "value": "<id>", "display": "<idcssso>", "type": "App", "$ref": "<url>" },
        "nickName": "TAS_TENANT_ADMIN_USER",
        "userName": "admin@oracle.com",
        user: { "isFederatedUser": false },
        "emails": [email("recovery", false), email("work", true)],
        state: { "locked": { "on": false } },
        "name": { "formatted": "admin opc", "familyName": "opc", "givenName": "admin" },
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", user, state],
    });
    let mut me = me;
    // The order of several values carries no meaning (RFC 7643 §2.4).
    me["emails"].as_array_mut().unwrap().sort_by_key(|email| email["primary"] == true);
    same_shape(&me, &printed, "step 4");
}
