//! Questions and their answers, as this dialect shows, reads and refuses them (reference §2.10, §3.3).

use protocol::records::QuestionSettings;
use serde_json::{Value, json};

use crate::doors::idcs::fault::{Code, Failed};
use crate::secret::Secret;

/// Longest answer and longest hint, characters.
const LONGEST: usize = 100;
/// Questions shown at most.
const MOST: usize = 60;

/// Answers and hints, by the keys of their questions.
#[derive(Debug, Default)]
pub struct Given {
    /// The answers.
    pub answers: Vec<(String, Secret<String>)>,
    /// The hints.
    pub hints: Vec<(String, String)>,
}

/// `questions` and `secQuesSettings`. All answers are asked for at a sign-in: so many are set up, so many are answered.
pub fn shown(settings: &QuestionSettings) -> Value {
    json!({
        "credentials": ["questionId", "answer", "hint"],
        "secQuesSettings": {
            "numQuestionsToSetup": settings.required.max(1).to_string(),
            "minAnswerLength": settings.shortest.max(1).to_string(),
            "numQuestionsToAns": settings.required.max(1).to_string(),
            "maxFieldLength": LONGEST.to_string(),
        },
        "questions": listed(settings),
    })
}

/// The questions there are.
pub fn listed(settings: &QuestionSettings) -> Vec<Value> {
    let all = settings.questions.iter().take(MOST);
    all.map(|(key, text)| json!({ "questionId": key, "text": text })).collect()
}

/// Reads what was given, and refuses what cannot be set up.
///
/// # Errors
/// By the vendor's codes, each for its reason.
pub fn read(settings: &QuestionSettings, given: Option<&Value>) -> Result<Given, Failed> {
    let required = usize::from(settings.required.max(1));
    let Some(list) = given.and_then(Value::as_array) else {
        return Err(Failed::incomplete("The credential questions is missing."));
    };
    if list.len() > MOST {
        return Err(Failed::invalid("There are too many questions."));
    }
    let mut read = Given::default();
    for one in list {
        let text = |name: &str| one.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        let id = text("questionId").or_else(|| text("id")).unwrap_or_default();
        if !settings.questions.contains_key(id) {
            let shown: String = id.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
            return Err(Failed::saying(Code::QuestionInvalid, format!("The question {shown} is not known.")));
        }
        if read.answers.iter().any(|(known, _)| known == id) {
            return Err(Code::QuestionTwice.into());
        }
        let answer = text("answer").ok_or_else(|| Failed::from(Code::AnswerMissing))?;
        let length = answer.chars().count();
        if length < usize::from(settings.shortest) {
            let text = format!("The answer to {id} is shorter than {}.", settings.shortest);
            return Err(Failed::saying(Code::AnswerTooShort, text));
        }
        if length > LONGEST {
            return Err(Failed::saying(Code::AnswerTooLong, format!("The answer to {id} is longer than {LONGEST}.")));
        }
        if read.answers.iter().any(|(_, known)| known.expose().to_lowercase() == answer.to_lowercase()) {
            return Err(Code::SameAnswer.into());
        }
        if let Some(hint) = text("hint").or_else(|| text("hintText")) {
            if hint.to_lowercase() == answer.to_lowercase() {
                return Err(Code::HintIsAnswer.into());
            }
            if hint.chars().count() > LONGEST {
                return Err(Failed::saying(Code::HintTooLong, format!("The hint to {id} is longer than {LONGEST}.")));
            }
            read.hints.push((id.to_owned(), hint.to_owned()));
        }
        read.answers.push((id.to_owned(), Secret::from(answer)));
    }
    if read.answers.len() < required {
        return Err(Failed::saying(Code::QuestionsMissing, format!("{required} questions must be set up.")));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings() -> QuestionSettings {
        QuestionSettings { required: 2, shortest: 3, ..QuestionSettings::default() }
    }

    #[test]
    fn each_mistake_has_its_code() {
        let code = |given: Value| read(&settings(), Some(&given)).unwrap_err().code;
        let one = |id: &str, answer: &str| json!({ "questionId": id, "answer": answer });
        assert_eq!(read(&settings(), None).unwrap_err().status.as_u16(), 422);
        assert_eq!(code(json!([one("nothing", "fiat")])), Code::QuestionInvalid);
        assert_eq!(code(json!([one("firstCar", "fiat"), one("firstCar", "opel")])), Code::QuestionTwice);
        assert_eq!(code(json!([one("firstCar", "")])), Code::AnswerMissing);
        assert_eq!(code(json!([one("firstCar", "vw")])), Code::AnswerTooShort);
        assert_eq!(code(json!([one("firstCar", &"x".repeat(101))])), Code::AnswerTooLong);
        assert_eq!(code(json!([one("firstCar", "fiat"), one("firstPet", " FIAT ")])), Code::SameAnswer);
        let hinted = |hint: &str| json!([{ "questionId": "firstCar", "answer": "fiat", "hint": hint }]);
        assert_eq!(code(hinted("Fiat")), Code::HintIsAnswer);
        assert_eq!(code(hinted(&"x".repeat(101))), Code::HintTooLong);
        assert_eq!(code(json!([one("firstCar", "fiat")])), Code::QuestionsMissing);
    }

    #[test]
    fn answers_and_hints_are_read() {
        let given = json!([
            { "questionId": "firstCar", "answer": " fiat 500 ", "hint": "small" },
            { "id": "firstPet", "answer": "rex" },
        ]);
        let read = read(&settings(), Some(&given)).unwrap();
        assert_eq!(read.answers.len(), 2);
        assert_eq!(read.answers[0].1.expose(), "fiat 500");
        assert_eq!(read.hints, [("firstCar".to_owned(), "small".to_owned())]);
    }
}
