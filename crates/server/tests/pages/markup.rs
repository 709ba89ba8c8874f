//! The start tags of a page with their attributes. Reads only what the templates write: lower-case names, quoted values.

#[derive(Debug)]
pub struct Tag<'a> {
    pub name: &'a str,
    pub attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Tag<'a> {
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(one, _)| *one == name).map(|(_, value)| *value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }
}

/// # Panics
/// On markup that the templates do not write, such as a value without quotes.
pub fn tags(html: &str) -> Vec<Tag<'_>> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once('<') {
        rest = after;
        if !after.starts_with(|c: char| c.is_ascii_lowercase()) {
            continue;
        }
        let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap();
        let mut tag = Tag { name: &after[..end], attributes: Vec::new() };
        rest = attributes(&after[end..], &mut tag);
        // What a script or style holds is no markup.
        if matches!(tag.name, "script" | "style") {
            rest = rest.split_once(&format!("</{}>", tag.name)).unwrap().1;
        }
        tags.push(tag);
    }
    tags
}

fn attributes<'a>(mut rest: &'a str, tag: &mut Tag<'a>) -> &'a str {
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('>').or_else(|| rest.strip_prefix("/>")) {
            return after;
        }
        let end = rest.find(['=', ' ', '>', '\n']).unwrap();
        assert!(end > 0, "no attribute at `{}`", &rest[..rest.len().min(40)]);
        let name = &rest[..end];
        let Some(quoted) = rest[end..].strip_prefix('=') else {
            tag.attributes.push((name, ""));
            rest = &rest[end..];
            continue;
        };
        let quote = quoted.chars().next().unwrap();
        assert!(matches!(quote, '"' | '\''), "`{name}` of `{}` has no quotes", tag.name);
        let (value, after) = quoted[1..].split_once(quote).unwrap();
        assert!(after.starts_with([' ', '>', '\n', '/']), "`{name}` of `{}` runs into what follows", tag.name);
        tag.attributes.push((name, value));
        rest = after;
    }
}
