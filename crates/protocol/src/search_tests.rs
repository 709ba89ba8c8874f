#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;
use serde_json::json;

const NAMES: [&str; 7] = ["name", "userId", "enabled", "type", "size", "attributes/*", "references/authenticatorId"];

fn read(query: &str) -> Result<Listing, SearchProblem> {
    Listing::read(&Form::parse(query.as_bytes()).unwrap(), &NAMES)
}

fn search(text: &str) -> Result<Listing, SearchProblem> {
    let form = Form::from_pairs([("search".to_owned(), text.to_owned())]);
    Listing::read(&form, &NAMES)
}

fn term(name: &str, operator: Operator, literal: Literal) -> Term {
    Term { name: name.into(), operator, literal }
}

fn text(text: &str) -> Literal {
    Literal::Text(text.into())
}

fn objects() -> Vec<Value> {
    vec![
        json!({"name": "b", "userId": "U1", "enabled": true, "size": 10, "attributes": {"emailAddress": "x@a.test", "tags": ["p", "q"]}}),
        json!({"name": "a", "userId": "U1", "enabled": false, "size": 9}),
        json!({"name": "c", "userId": "U2", "enabled": true, "size": 2.5, "attributes": {"emailAddress": "y@b.test"}}),
        json!({"name": "d", "userId": "U2", "enabled": true, "size": null}),
    ]
}

fn found(query: &str) -> Vec<String> {
    let page = read(query).unwrap().apply(objects());
    page.items.iter().map(|item| item["name"].as_str().unwrap_or("-").to_owned()).collect()
}

#[test]
fn the_sdk_s_search_reads_encoded_and_unencoded_alike() {
    // vendor page §2.9, W6
    let expected = vec![
        term("userId", Operator::Equal, text("604000A1B2")),
        term("enabled", Operator::Equal, Literal::Bool(true)),
    ];
    for query in [
        "search=userId%3D%22604000A1B2%22%26enabled%3Dtrue",
        "search=userId=\"604000A1B2\"&enabled=true",
        "search=userId%20=%20%22604000A1B2%22%20%26%20enabled%20=%20true",
        "search=userId=%22604000A1B2%22&enabled=true&returnJwt=true&_embedded=true",
    ] {
        assert_eq!(read(query).unwrap().terms, expected, "{query}");
    }
    for query in [
        "search=name%20%3D%20%22Cloud%20Directory%22",
        "search=name%20=%20%22Cloud%20Directory%22",
        "search=name = \"Cloud Directory\"",
    ] {
        let listing = read(query).unwrap();
        assert_eq!(listing.wanted("name"), Some("Cloud Directory"), "{query}");
    }
    assert_eq!(
        read("search=enabled!=true").unwrap().terms,
        [term("enabled", Operator::Different, Literal::Bool(true))]
    );
    assert_eq!(read("search=name=%22a%22&enabled!=true").unwrap().terms.len(), 2);
    assert_eq!(read("").unwrap(), Listing::default());
}

#[test]
fn every_operator_is_read_and_judged() {
    for (query, expected) in [
        ("enabled = true", "bcd"),
        ("enabled=\"true\"", "bcd"),
        ("enabled!=true", "a"),
        ("userId=\"U1\"", "ba"),
        ("userId!=\"U1\"", "cd"),
        ("name contains \"c\"", "c"),
        ("size<10", "ac"),
        ("size<=10", "bac"),
        ("size>2.5", "ba"),
        ("size>=2.5", "bac"),
        ("size=9", "a"),
        ("size!=9", "bcd"),
        ("attributes/emailAddress contains \"@a.\"", "b"),
        ("attributes/tags=\"q\"", "b"),
        ("attributes/emailAddress!=\"x@a.test\"", "acd"),
        ("userId=\"U2\"&size>1&enabled=true", "c"),
        ("references/authenticatorId=\"x\"", ""),
        ("name=\"\"", ""),
    ] {
        let names: String =
            search(query).unwrap().apply(objects()).items.iter().map(|i| i["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{query}");
    }
}

#[test]
fn what_is_not_in_the_language_is_refused() {
    use SearchProblem::{Malformed, TooLong, UnknownName, WrongOperator};
    assert_eq!(search("password=\"x\""), Err(UnknownName("password".into())));
    assert_eq!(search("attributes/=\"x\""), Err(UnknownName("attributes/".into())));
    for bad in [
        "name~\"x\"",
        "name",
        "name like \"x\"",
        "name==\"x\"",
        "name<\"x\"",
        "enabled>true",
        "size contains 3",
        "enabled contains true",
    ] {
        assert!(matches!(search(bad), Err(WrongOperator(_) | Malformed(_))), "{bad}");
    }
    for bad in [
        "=\"x\"",
        "name=",
        "name=x",
        "name=\"x",
        "name=\"x\\n\"",
        "name=\"x\" enabled=true",
        "name=\"x\"\"y\"",
        "size=1e999",
        "size=--1",
        "size=0x10",
        "name='x'",
        "é=\"x\"",
        "name=\"x\" or 1=1",
    ] {
        assert!(matches!(search(bad), Err(Malformed(_))), "{bad}");
    }
    assert_eq!(search(&"enabled=true&".repeat(33)), Err(TooLong));
    assert!(search(&"enabled=true&".repeat(32)).is_ok());
    assert_eq!(search(&format!("name=\"{}\"", "x".repeat(5000))), Err(TooLong));
    assert!(search(&format!("{}=\"x\"", "a/".repeat(60))).is_err());
}

#[test]
fn quotes_and_ampersands_may_stand_in_texts() {
    assert_eq!(search(r#"name = "a \"b\" & c\\d""#).unwrap().wanted("name"), Some(r#"a "b" & c\d"#));
    assert_eq!(search("name=\"é\"").unwrap().wanted("name"), Some("é"));
}

#[test]
fn sorting_is_stable_and_puts_the_missing_last() {
    assert_eq!(found("sort=%2Bname"), ["a", "b", "c", "d"]);
    assert_eq!(found("sort=+name"), ["a", "b", "c", "d"], "the plus became a blank");
    assert_eq!(found("sort=-name"), ["d", "c", "b", "a"]);
    assert_eq!(found("sort=userId,-name"), ["b", "a", "d", "c"]);
    assert_eq!(found("sort=size"), ["c", "a", "b", "d"]);
    assert_eq!(found("sort=-size"), ["b", "a", "c", "d"]);
    assert_eq!(read("sort=secret"), Err(SearchProblem::UnknownName("secret".into())));
    assert_eq!(read("sort=a,b,c,d,e,f,g,h,i"), Err(SearchProblem::TooLong));
    assert_eq!(read(&"sort=name,size,type,userId,name&".repeat(2)), Err(SearchProblem::TooLong));
}

#[test]
fn pages_are_cut_and_bounded() {
    let page = |query: &str| read(query).unwrap().apply(objects());
    let all = page("");
    assert_eq!((all.total, all.count, all.limit, all.page, all.items.len()), (4, 200, 200, 1, 4));
    assert_eq!(found("sort=name&pagination=count%3D10%26page%3D2%26limit%3D3"), ["d"]);
    assert_eq!(found("sort=name&pagination=count=10&page=2&limit=3"), ["d"], "sent unencoded");
    assert_eq!(found("sort=name&pagination=count%3D3%26limit%3D2%26page%3D2"), ["c"]);
    assert_eq!(page("pagination=page%3D999999999").items.len(), 0);
    let huge = page("pagination=count%3D999999999%26limit%3D999999999");
    assert_eq!((huge.limit, huge.items.len()), (MAX_LIMIT, 4));
    for bad in [
        "count%3D0",
        "page%3D0",
        "limit%3D-1",
        "limit%3Dx",
        "count%3D1e9",
        "count%3D9999999999",
        "start%3D1",
        "count",
        "limit%3D%2B5",
    ] {
        assert_eq!(read(&format!("pagination={bad}")), Err(SearchProblem::Paging), "{bad}");
    }
}

#[test]
fn members_are_chosen_or_left_out() {
    let first = |query: &str| read(query).unwrap().apply(objects()).items.remove(0);
    assert_eq!(
        first("filter=name,attributes/emailAddress,absent"),
        json!({"name": "b", "attributes": {"emailAddress": "x@a.test"}})
    );
    assert_eq!(
        first("filter=!attributes/tags,size,!enabled"),
        json!({"name": "b", "userId": "U1", "attributes": {"emailAddress": "x@a.test"}})
    );
    assert_eq!(first("filter="), objects()[0]);
    assert_eq!(read("filter=a%22b"), Err(SearchProblem::Malformed(0)));
    assert_eq!(read(&format!("filter={}", "a,".repeat(65))), Err(SearchProblem::TooLong));
}

proptest! {
    #[test]
    fn never_panics(any in ".{0,80}", close in "(name|size|enabled|attributes/x)? ?(=|!=|<|<=|>|contains)? ?(\"[^\"]{0,4}\"?|true|-?[0-9.e]{0,6})&?") {
        for value in [&any, &close] {
            for parameter in ["search", "filter", "sort", "pagination", "count", "name"] {
                let form = Form::from_pairs([(parameter.to_owned(), value.clone())]);
                if let Ok(listing) = Listing::read(&form, &NAMES) {
                    prop_assert!(listing.apply(objects()).items.len() <= 4);
                }
            }
        }
    }

    #[test]
    fn a_quoted_text_reads_back(value in ".{0,40}") {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let listing = search(&format!("name=\"{quoted}\"")).unwrap();
        prop_assert_eq!(listing.wanted("name"), Some(value.as_str()));
        let object = json!({"name": value});
        prop_assert!(listing.matches(&object));
    }

    #[test]
    fn different_is_the_opposite_of_equal(name in "[a-d]", object in 0usize..4) {
        let object = &objects()[object];
        let equal = search(&format!("name=\"{name}\"")).unwrap().matches(object);
        let different = search(&format!("name!=\"{name}\"")).unwrap().matches(object);
        prop_assert_ne!(equal, different);
    }

    #[test]
    fn pages_together_are_the_whole_list(limit in 1usize..6, total in 0usize..20) {
        let list: Vec<Value> = (0..total).map(|n| json!({"size": n})).collect();
        let mut seen = Vec::new();
        for page in 1..=total.div_ceil(limit).max(1) {
            seen.extend(Listing { limit: Some(limit), page: Some(page), ..Listing::default() }.apply(list.clone()).items);
        }
        prop_assert_eq!(seen, list);
    }
}
