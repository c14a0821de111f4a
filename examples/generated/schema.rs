// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The JSON Schema of the lines, and the tables of docs/json.md made of it.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use netstacklat::schema::check::CheckLine;
use netstacklat::schema::diff::DiffLine;
use netstacklat::schema::hooks::HooksLine;
use netstacklat::schema::report::ReportLine;
use netstacklat::schema::show::ShowLine;
use netstacklat::schema::start::StartLine;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

/// Any line that this version writes.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(title = "netstacklat JSON line")]
#[allow(dead_code, reason = "only its schema is wanted")]
enum Line {
    Start(StartLine),
    Report(ReportLine),
    Check(CheckLine<'static>),
    Hooks(HooksLine),
    Show(ShowLine<'static>),
    Diff(DiffLine<'static>),
}

/// As written: a field is required unless it is left out at times.
fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Line>();
    schema.ensure_object();
    schema.to_value()
}

/// docs/schema/.
pub fn schemas() -> Result<Vec<(String, String)>> {
    let text = serde_json::to_string_pretty(&schema())?;
    Ok(vec![("netstacklat.json".into(), text + "\n")])
}

/// docs/json.md, with its tables made anew: between a line
/// `<!-- generated from NAME -->` and a line `<!-- end -->`.
pub fn pages() -> Result<Vec<(String, String)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md");
    let page = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let schema = schema();
    let definitions = schema["$defs"].as_object().context("definitions")?;
    let mut text = String::new();
    let mut told = BTreeSet::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        text += line;
        text.push('\n');
        let Some(name) = line.strip_prefix("<!-- generated from ") else {
            continue;
        };
        let name = name.trim_end_matches(" -->");
        tables(&mut text, definitions, &mut told, name)?;
        let end = lines.find(|line| *line == "<!-- end -->");
        text += end.context("a table without <!-- end -->")?;
        text.push('\n');
    }
    let all: BTreeSet<String> = definitions.keys().cloned().collect();
    let missing: Vec<_> = all.difference(&told).collect();
    anyhow::ensure!(
        missing.is_empty(),
        "docs/json.md has no table of {missing:?}"
    );
    Ok(vec![("json.md".into(), text)])
}

/// The table of an object, and of the objects in it.
fn tables(
    text: &mut String,
    definitions: &Map<String, Value>,
    told: &mut BTreeSet<String>,
    name: &str,
) -> Result<()> {
    let mut waiting = vec![(name.to_owned(), None)];
    while let Some((name, unit)) = waiting.pop() {
        if !told.insert(name.clone()) {
            continue;
        }
        let object = definitions
            .get(&name)
            .with_context(|| format!("no {name}"))?;
        let meaning = one_line(object);
        *text += &format!("\n#### {name}\n\n{meaning}\n\n");
        *text += "| field | type | unit | meaning |\n|---|---|---|---|\n";
        let properties = object["properties"].as_object().context("properties")?;
        let mut inner = Vec::new();
        for (field, of_field) in in_order(object, properties) {
            let (kind, references) = kind(of_field);
            let own_unit = unit_of(field);
            *text += &format!(
                "| `{field}` | {kind} | {} | {} |\n",
                own_unit.or(unit).unwrap_or(""),
                one_line(of_field).replace('|', "\\|"),
            );
            inner.extend(references.into_iter().map(|name| (name, own_unit)));
        }
        // The first field's first.
        waiting.extend(inner.into_iter().rev());
    }
    text.push('\n');
    Ok(())
}

/// Fields as they are written; those that are left out at times come last.
fn in_order<'a>(
    object: &'a Value,
    properties: &'a Map<String, Value>,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    let required = object["required"].as_array().into_iter().flatten();
    let required: Vec<&str> = required.filter_map(Value::as_str).collect();
    let place = move |name: &str| required.iter().position(|known| *known == name);
    let mut fields: Vec<_> = properties.iter().collect();
    fields.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
    fields.into_iter()
}

fn one_line(schema: &Value) -> String {
    schema["description"]
        .as_str()
        .unwrap_or("")
        .replace('\n', " ")
}

fn unit_of(field: &str) -> Option<&'static str> {
    let units = [("_ns", "ns"), ("_s", "s"), ("_percent", "%")];
    let mut known = units.into_iter();
    known.find_map(|(end, unit)| field.ends_with(end).then_some(unit))
}

/// A type in words, and the objects that it refers to.
fn kind(schema: &Value) -> (String, Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or(reference);
        let anchor = name.to_lowercase();
        return (format!("[{name}](#{anchor})"), vec![name.into()]);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let (words, references): (Vec<_>, Vec<_>) = choices.iter().map(kind).unzip();
        return (words.join(" or "), references.concat());
    }
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        other => panic!("no type: {other} in {schema}"),
    };
    let mut references = Vec::new();
    let words = types.into_iter().map(|name| match name {
        "array" => {
            let (items, of_items) = kind(&schema["items"]);
            references.extend(of_items);
            let count = schema["minItems"].as_u64();
            let count = count.map_or(String::new(), |count| format!("{count} "));
            format!("list of {count}{items}")
        }
        "object" => match schema["properties"].as_object() {
            // Of both sides.
            Some(fields) => {
                let names: Vec<_> = fields.keys().map(|name| format!("`{name}`")).collect();
                let of_each = fields.values().map(kind).collect::<Vec<_>>();
                references.extend(of_each.iter().flat_map(|(_, of_it)| of_it.clone()));
                let what = of_each.first().map_or("", |(what, _)| what);
                format!("{{{}}} of {what}", names.join(", "))
            }
            None => {
                let (values, of_values) = kind(&schema["additionalProperties"]);
                references.extend(of_values);
                format!("object of name: {values}")
            }
        },
        other => other.into(),
    });
    let words: Vec<String> = words.collect();
    (words.join(" or "), references)
}
