//! Questions and bypass codes: weak or second-hand, never enough alone. Numbers are those of the project's list of attack cases.

use countersign::secret::Secret;
use countersign::signin::factors::Cause;
use countersign::signin::{Failure, SignIns, Submission};
use serde_json::{Value, json};

use crate::support::{ACME, Challenge, Setup, TestServer, client, on_both};

fn setup() -> Setup {
    let more = "grant_types = [\"client_credentials\"]\n\
                entitlements = [\"authnAnyUser\", \"manageEnrollMFAMethodAnyUser\", \"readEnrollMFAMethodAnyUser\", \"manageAllUserGroups\"]";
    Setup::new()
        .replace(
            "[tenant.settings]",
            "[tenant.settings]\nquestions = { enabled = true, required = 2 }\nbypass = { enabled = true }",
        )
        .replace("authnMethods = [\"emailotp\"]", "authnMethods = [\"questions\", \"bypasscode\", \"emailotp\"]")
        .add(&client("helpdesk", "h", more))
}

fn answers(pet: &str, car: &str) -> Value {
    json!([{ "questionKey": "firstPet", "answer": pet }, { "questionKey": "firstCar", "answer": car }])
}

async fn enrol(server: &TestServer) -> String {
    let desk = server.token_of("helpdesk", "h").await;
    let of = |questions: Value| json!({ "userId": ACME.admin.id, "attributes": { "questions": questions } });
    for unfit in [
        json!([{ "questionKey": "firstPet", "answer": "Rex" }]),
        answers("Rex", "rex"),
        answers("Rex", " "),
        json!([{ "questionKey": "firstPet", "answer": "Rex" }, { "questionKey": "unknown", "answer": "x y" }]),
        json!([{ "questionKey": "firstPet", "answer": "Rex" }, { "questionKey": "firstPet", "answer": "Bello" }]),
    ] {
        server.json("POST", "/v2.0/factors/questions", &desk, &of(unfit)).await.factor_error(400, "CSIBN9999E");
    }
    let made = server.json("POST", "/v2.0/factors/questions", &desk, &of(answers("Rex", "Fiat 500"))).await.expect(201);
    assert_eq!(
        made["attributes"],
        json!({ "questions": [{ "questionKey": "firstPet" }, { "questionKey": "firstCar" }] })
    );
    assert!(!made.to_string().to_lowercase().contains("fiat"));
    made["id"].as_str().unwrap().to_owned()
}

async fn second(server: &TestServer) -> Challenge {
    let (_, assertion) = server.password_assertion().await;
    Challenge::of(&server.present(&assertion).await)
}

#[tokio::test]
async fn questions_are_asked_and_answered_however_the_answers_are_typed() {
    let server = setup().start().await;
    let enrolment = enrol(&server).await;
    let second = second(&server).await;
    assert_eq!(second.allowed, ["questions", "bypasscode", "emailotp"]);
    let path = format!("/v2.0/factors/questions/{enrolment}/verifications");
    let asked = server.json("POST", &path, &second.token, &json!({})).await.expect(201);
    assert_eq!(asked["questions"][0]["question"], "What was your first pet called?");
    let path = format!("{path}/{}?returnJwt=true", asked["id"].as_str().unwrap());
    let answer = async |pet: &str, car: &str| {
        server.json("POST", &path, &second.token, &json!({ "questions": answers(pet, car) })).await
    };
    answer("Rex", "Fiat 600").await.factor_error(400, "CSIBN0021E");
    let proved = answer("  REX", "fiat  500").await.expect(200);
    server.present(proved["assertion"].as_str().unwrap()).await.expect(200);
}

#[tokio::test]
async fn attack_41_guesses_at_answers_are_counted_over_all_questions_and_sign_ins() {
    let server = setup().start().await;
    let enrolment = enrol(&server).await;
    let path = format!("/v2.0/factors/questions/{enrolment}/verifications");
    let mut judged = 0;
    for _ in 0..3 {
        let second = second(&server).await;
        let asked = server.json("POST", &path, &second.token, &json!({})).await.expect(201);
        let path = format!("{path}/{}", asked["id"].as_str().unwrap());
        for _ in 0..2 {
            let body = json!({ "questions": answers("Rex", "Volvo") });
            server.json("POST", &path, &second.token, &body).await.factor_error(400, "CSIBN0021E");
            judged += 1;
        }
        if judged > 5 {
            // The counter rests: the right answers are not judged either.
            let body = json!({ "questions": answers("Rex", "Fiat 500") });
            server.json("POST", &path, &second.token, &body).await.factor_error(400, "CSIBN0021E");
        }
    }
}

#[test]
fn attack_41_a_bypass_code_is_good_once_and_a_new_set_ends_the_old() {
    on_both(async |store| {
        let server = setup().start_on(store).await;
        let view = server.app.directories.current().tenant(&server.tenant()).unwrap().clone();
        let sign_ins = SignIns { app: &server.app, tenant: &view };
        let scott = ACME.admin.id.into();
        let old = sign_ins.issue_bypass_codes(&scott, 10, None).await.unwrap();
        let codes = sign_ins.issue_bypass_codes(&scott, 10, None).await.unwrap();
        assert_eq!((codes.len(), codes[0].expose().len()), (10, 12));
        let tried = async |code: &str| {
            let second = second(&server).await;
            let flow = sign_ins.by_handle(&second.token).await.unwrap().unwrap();
            sign_ins.submit(flow, Submission::BypassCode { user: scott.clone(), code: Secret::from(code) }).await
        };
        assert!(matches!(tried(old[0].expose()).await, Err(Failure::Wrong(Cause::WrongCode))));
        let code = codes[0].expose();
        let spaced = format!("{} {}-{}", &code[..4], &code[4..8], &code[8..]);
        assert_eq!(tried(&spaced).await.unwrap().proof.kind, engine::FactorKind::BypassCode);
        assert!(matches!(tried(code).await, Err(Failure::Wrong(Cause::WrongCode))));
        assert_eq!(sign_ins.bypass_codes_left(&scott).await.unwrap(), 9);
        // Two at once: one of them.
        let (one, other) = tokio::join!(tried(codes[1].expose()), tried(codes[1].expose()));
        assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1);
        // Another person's codes are nobody's.
        let pats = sign_ins.issue_bypass_codes(&ACME.other.id.into(), 1, Some(60)).await.unwrap();
        assert!(tried(pats[0].expose()).await.is_err());
        server.world.advance(61);
        assert_eq!(sign_ins.bypass_codes_left(&ACME.other.id.into()).await.unwrap(), 0);
    });
}

#[tokio::test]
async fn they_are_off_unless_they_are_switched_on() {
    let server = TestServer::start().await;
    let view = server.app.directories.current().tenant(&server.tenant()).unwrap().clone();
    let sign_ins = SignIns { app: &server.app, tenant: &view };
    assert!(sign_ins.issue_bypass_codes(&ACME.admin.id.into(), 10, None).await.is_err());
    let second = server.second_challenge().await;
    let path = "/v2.0/factors/questions/x/verifications";
    server.json("POST", path, &second.token, &json!({})).await.factor_error(501, "CSIBN9998E");
}
