//! Lists of resources (RFC 7644 §3.4.2, §3.4.3): by an index where the filter allows it, else by looking at one after another,
//! within a bound.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::records::{GroupId, User, UserId};
use protocol::scim::list::{self, Query};
use protocol::scim::schemas::{GROUP, USER};
use protocol::scim::{Bound, Filter, Model, Place, ScimError, ScimType, SortKey, Unknown};
use serde_json::{Map, Value};
use store::GroupRow;

use super::caller::{READ_GROUPS, READ_USERS};
use super::groups::Groups;
use super::people::People;
use super::refusal::Refusal;
use super::shape::Shape;
use super::{answer, caller};
use crate::app::App;
use crate::call::Call;

/// People one query looks at. Whoever searches further names something that has an index.
const MOST_PEOPLE: usize = 20_000;
/// People read at once.
const BATCH: i64 = 500;
/// Groups of a tenant that are looked at.
const MOST_GROUPS: usize = 10_000;
/// Groups whose members one query looks at.
const MOST_MEMBERSHIPS: usize = 500;

type Document = Map<String, Value>;

/// Which part of a list is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first, from 1.
    pub start: usize,
    /// How many.
    pub count: usize,
}

/// A query bound to a type.
struct Search<'q> {
    query: &'q Query,
    bound: Option<Bound>,
    sort: Option<(Place, bool)>,
}

fn too_many() -> Refusal {
    ScimError::of(ScimType::TooMany, "too many resources would have to be looked at, narrow the filter").into()
}

impl<'q> Search<'q> {
    fn new(query: &'q Query, model: &'static Model, unknown: Unknown) -> Result<Self, Refusal> {
        let bound = query.filter.as_ref().map(|filter| Bound::new(filter, model, unknown)).transpose()?;
        let sort = match &query.sort {
            None => None,
            Some((path, descending)) => match model.find(path) {
                Some(place) => Some((place, *descending)),
                None if unknown == Unknown::Unassigned => None,
                None => return Err(Refusal::value("`sortBy` names no attribute")),
            },
        };
        Ok(Self { query, bound, sort })
    }

    fn holds(&self, document: &Document) -> bool {
        self.bound.as_ref().is_none_or(|bound| bound.holds(document))
    }

    /// Whether judging or ordering looks at an attribute.
    fn reads(&self, name: &str) -> bool {
        let sorts = |(place, _): &(Place, bool)| {
            place.extension.is_none() && place.attribute.is_some_and(|one| one.name == name)
        };
        self.bound.as_ref().is_some_and(|bound| bound.reads(name)) || self.sort.as_ref().is_some_and(sorts)
    }

    /// The text an attribute must be equal to.
    fn wanted(&self, names: &[&str]) -> Option<&'q str> {
        let terms = self.query.filter.as_ref().map(Filter::conjuncts).unwrap_or_default();
        terms.into_iter().filter_map(Filter::equals_text).find_map(|(path, text)| {
            let name = match &path.sub {
                None => path.name.clone(),
                Some(sub) => format!("{}.{sub}", path.name),
            };
            let own =
                path.urn.as_deref().is_none_or(|urn| [USER, GROUP].iter().any(|one| one.eq_ignore_ascii_case(urn)));
            (own && names.iter().any(|one| one.eq_ignore_ascii_case(&name))).then_some(text)
        })
    }
}

/// Matches as they are found: all are counted, and kept as far as they may be answered.
struct Found<T> {
    total: usize,
    window: Window,
    sort: Option<(Place, bool)>,
    kept: Vec<(SortKey, T)>,
}

impl<T> Found<T> {
    fn new(search: &Search<'_>, window: Window) -> Self {
        Self { total: 0, window, sort: search.sort, kept: Vec::new() }
    }

    fn add(&mut self, document: &Document, found: T) {
        self.total += 1;
        match &self.sort {
            Some((place, _)) => self.kept.push((SortKey::of(place, document), found)),
            None => {
                let Window { start, count } = self.window;
                if self.total >= start && self.kept.len() < count {
                    self.kept.push((SortKey::none(), found));
                }
            }
        }
    }

    fn page(mut self) -> (usize, Vec<T>) {
        let Some((_, descending)) = self.sort else {
            return (self.total, self.kept.into_iter().map(|(_, found)| found).collect());
        };
        self.kept.sort_by(|(a, _), (b, _)| if descending { b.order(a) } else { a.order(b) });
        let Window { start, count } = self.window;
        let page = self.kept.into_iter().skip(start - 1).take(count).map(|(_, found)| found).collect();
        (self.total, page)
    }
}

/// `GET /Users` and its search.
pub async fn users(app: &App, call: &Call, query: &Query) -> Result<Response, Refusal> {
    let window = Window { start: query.start, count: query.count };
    let (total, page) = people(app, call, query, window, Unknown::Refused).await?;
    Ok(answer::json(call, StatusCode::OK, &list::response(total, query.start, page)))
}

/// The people a query finds, with the versions of their records: how many, and those of its page.
///
/// # Errors
/// The query is not in form, or too many would have to be looked at; the store failed.
pub async fn find_people(app: &App, call: &Call, query: &Query) -> Result<(usize, Vec<(User, i64)>), Refusal> {
    records(app, call, query, Window { start: query.start, count: query.count }, Unknown::Refused).await
}

/// The groups a query finds, as documents of its projection: how many, and those of its page.
///
/// # Errors
/// As [`find_people`].
pub async fn find_groups(app: &App, call: &Call, query: &Query) -> Result<(usize, Vec<Document>), Refusal> {
    all_groups(app, call, query, Window { start: query.start, count: query.count }, Unknown::Refused).await
}

/// `GET /Groups` and its search.
pub async fn groups(app: &App, call: &Call, query: &Query) -> Result<Response, Refusal> {
    let window = Window { start: query.start, count: query.count };
    let (total, page) = all_groups(app, call, query, window, Unknown::Refused).await?;
    Ok(answer::json(call, StatusCode::OK, &list::response(total, query.start, page)))
}

/// `POST /.search`: people, then groups.
pub async fn everything(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let bearer = caller::client(&app, &call, &READ_USERS).await?;
        if !bearer.holds(&READ_GROUPS) {
            return Err(Refusal::Forbidden);
        }
        let query = Query::of_body(&answer::body(&call)?)?;
        let window = Window { start: query.start, count: query.count };
        let (users, mut page) = people(&app, &call, &query, window, Unknown::Unassigned).await?;
        let rest = Window { start: window.start.saturating_sub(users).max(1), count: window.count - page.len() };
        let (groups, more) = all_groups(&app, &call, &query, rest, Unknown::Unassigned).await?;
        page.extend(more);
        Ok(answer::json(&call, StatusCode::OK, &list::response(users + groups, query.start, page)))
    };
    answer::finish(&call, run.await)
}

/// The people a query finds: how many, and those of the window.
async fn people(
    app: &App,
    call: &Call,
    query: &Query,
    window: Window,
    unknown: Unknown,
) -> Result<(usize, Vec<Document>), Refusal> {
    let model = Shape::of(call).user();
    let projection = answer::projection(query, model)?;
    let people = People::of(app, call);
    let (total, page) = records(app, call, query, window, unknown).await?;
    let shown = |(user, version): (User, i64)| projection.project(model, people.document(&user, version));
    Ok((total, page.into_iter().map(shown).collect()))
}

async fn records(
    app: &App,
    call: &Call,
    query: &Query,
    window: Window,
    unknown: Unknown,
) -> Result<(usize, Vec<(User, i64)>), Refusal> {
    let search = Search::new(query, Shape::of(call).user(), unknown)?;
    let people = People::of(app, call);
    let tenant = &call.tenant.tenant.id;
    if search.bound.is_none() && search.sort.is_none() {
        let total = usize::try_from(app.store.count_people(tenant).await?).unwrap_or_default();
        let (offset, limit) = (window.start - 1, window.count);
        let page = if limit == 0 || offset >= total {
            Vec::new()
        } else {
            let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
            app.store.people_from(tenant, number(offset), number(limit)).await?
        };
        return Ok((total, page));
    }
    let mut found = Found::new(&search, window);
    let mut look = |one: (User, i64)| {
        let document = people.document(&one.0, one.1);
        if search.holds(&document) {
            found.add(&document, one);
        }
    };
    match candidates(app, call, &search).await? {
        Some(candidates) => candidates.into_iter().for_each(&mut look),
        None => {
            let (mut after, mut seen) = (String::new(), 0);
            loop {
                let batch = app.store.people_after(tenant, &after, BATCH).await?;
                let Some((last, _)) = batch.last() else { break };
                after.clone_from(&last.id.0);
                seen += batch.len();
                if seen > MOST_PEOPLE {
                    return Err(too_many());
                }
                batch.into_iter().for_each(&mut look);
                // Others have requests too.
                tokio::task::yield_now().await;
            }
        }
    }
    Ok(found.page())
}

/// The people an index has for the filter; none where no index helps.
async fn candidates(app: &App, call: &Call, search: &Search<'_>) -> Result<Option<Vec<(User, i64)>>, Refusal> {
    let tenant = &call.tenant.tenant.id;
    if let Some(id) = search.wanted(&["id"]) {
        return Ok(Some(app.store.person(tenant, &UserId::from(id)).await?.into_iter().collect()));
    }
    if let Some(username) = search.wanted(&["userName"]) {
        let mut found = Vec::new();
        for source in &call.tenant.sources {
            found.extend(app.store.person_by_login(tenant, &source.id, username).await?);
        }
        found.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        return Ok(Some(found));
    }
    if let Some(external) = search.wanted(&["externalId"]).filter(|value| value.len() <= 256) {
        let limit = i64::try_from(MOST_PEOPLE).unwrap_or(i64::MAX);
        let found = app.store.people_by_attribute(tenant, "externalId", external, limit).await?;
        return Ok(Some(found));
    }
    if let Some(group) = search.wanted(&["groups", "groups.value"]) {
        let members = app.store.members(tenant, &GroupId::from(group)).await?;
        if members.len() > MOST_PEOPLE {
            return Err(too_many());
        }
        let mut found = Vec::with_capacity(members.len());
        for member in members {
            found.extend(app.store.person(tenant, &member.user).await?);
        }
        return Ok(Some(found));
    }
    Ok(None)
}

/// The groups a query finds: how many, and those of the window.
async fn all_groups(
    app: &App,
    call: &Call,
    query: &Query,
    window: Window,
    unknown: Unknown,
) -> Result<(usize, Vec<Document>), Refusal> {
    let model = Shape::of(call).group();
    let search = Search::new(query, model, unknown)?;
    let projection = answer::projection(query, model)?;
    let groups = Groups::of(app, call);
    let candidates = group_candidates(app, call, &search).await?;
    let reads = search.reads("members");
    if reads && candidates.len() > MOST_MEMBERSHIPS {
        return Err(too_many());
    }
    let mut found = Found::new(&search, window);
    for row in candidates {
        let members = if reads { groups.members(&row.group.id).await? } else { Vec::new() };
        let document = groups.document(&row, &members);
        if search.holds(&document) {
            found.add(&document, row);
        }
    }
    let (total, page) = found.page();
    let mut shown = Vec::with_capacity(page.len());
    for row in page {
        let members = if projection.shows("members") { groups.members(&row.group.id).await? } else { Vec::new() };
        shown.push(projection.project(model, groups.document(&row, &members)));
    }
    Ok((total, shown))
}

async fn group_candidates(app: &App, call: &Call, search: &Search<'_>) -> Result<Vec<GroupRow>, Refusal> {
    let tenant = &call.tenant.tenant.id;
    if let Some(id) = search.wanted(&["id"]) {
        return Ok(app.store.group(tenant, &GroupId::from(id)).await?.into_iter().collect());
    }
    if let Some(member) = search.wanted(&["members", "members.value"]) {
        let Some((user, _)) = app.store.person(tenant, &UserId::from(member)).await? else { return Ok(Vec::new()) };
        let mut found = Vec::with_capacity(user.groups.len());
        for id in &user.groups {
            found.extend(app.store.group(tenant, id).await?);
        }
        return Ok(found);
    }
    let limit = i64::try_from(MOST_GROUPS + 1).unwrap_or(i64::MAX);
    let all = app.store.groups(tenant, limit).await?;
    if all.len() > MOST_GROUPS { Err(too_many()) } else { Ok(all) }
}
