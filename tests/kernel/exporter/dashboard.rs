// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What Grafana asks Prometheus for, to fill `exporter/grafana-netstacklat.json`.

use std::collections::BTreeMap;

use serde_json::Value;

use testlab::prometheus::Prometheus;

const DASHBOARD: &str = include_str!("../../../exporter/grafana-netstacklat.json");

/// A query of a panel, variables replaced.
pub struct Query {
    pub panel: u64,
    /// Which of the panels that are repeated for each hook.
    pub hook: Option<String>,
    pub letter: String,
    pub expression: String,
    pub instant: bool,
}

pub struct Dashboard {
    json: Value,
    /// What its variables stand for.
    variables: BTreeMap<String, Vec<String>>,
}

impl Dashboard {
    /// With all that its variables offer, as "All" is.
    pub fn open(prometheus: &Prometheus) -> Dashboard {
        Dashboard::read(DASHBOARD, prometheus)
    }

    /// The same of a dashboard that was made for other keys.
    pub fn read(text: &str, prometheus: &Prometheus) -> Dashboard {
        let json = serde_json::from_str(text).expect("JSON");
        let mut dashboard = Dashboard {
            json,
            variables: BTreeMap::new(),
        };
        let variables = dashboard.json["templating"]["list"].clone();
        // Each may use those before it.
        for variable in variables.as_array().expect("variables") {
            let name = variable["name"].as_str().expect("a name");
            let all = variable["allValue"].as_str();
            let values = match variable["type"].as_str().expect("a type") {
                // As "All" is, also of targets without this label.
                "query" if all.is_some() => vec![all.expect("it is").to_owned()],
                "query" => {
                    let query = variable["query"]["query"].as_str().expect("a query");
                    dashboard.look_up(prometheus, query)
                }
                "custom" => {
                    let current = &variable["current"]["value"];
                    vec![current.as_str().expect("one value").to_owned()]
                }
                "datasource" => continue,
                other => panic!("{name} is of the unknown type {other}"),
            };
            assert!(!values.is_empty(), "{name} offers nothing");
            dashboard.variables.insert(name.to_owned(), values);
        }
        dashboard
    }

    /// `label_values(SELECTOR, LABEL)`
    fn look_up(&self, prometheus: &Prometheus, query: &str) -> Vec<String> {
        let query = self.filled(query);
        let inner = query.strip_prefix("label_values(");
        let inner = inner.and_then(|inner| inner.strip_suffix(')'));
        let (selector, label) = inner.and_then(|i| i.rsplit_once(", ")).expect("two");
        prometheus.label_values(label, selector)
    }

    pub fn hooks(&self) -> &[String] {
        &self.variables["hook"]
    }

    /// Each expression with what it belongs to, variables replaced; those of a
    /// panel that is repeated for each hook once for each.
    pub fn expressions(&self) -> Vec<(String, String)> {
        let mut expressions = Vec::new();
        for panel in self.json["panels"].as_array().expect("panels") {
            let title = panel["title"].as_str().expect("a title");
            let targets = panel["targets"].as_array().into_iter().flatten();
            expressions.extend(targets.map(|target| (title, &target["expr"])));
        }
        for annotation in self.json["annotations"]["list"].as_array().expect("a list") {
            if annotation["builtIn"] != 1 {
                let name = annotation["name"].as_str().expect("a name");
                expressions.push((name, &annotation["expr"]));
            }
        }
        let mut filled = Vec::new();
        for (title, expression) in expressions {
            let expression = expression.as_str().expect("an expression");
            if !expression.contains("$hook") {
                filled.push((title.to_owned(), self.filled(expression)));
                continue;
            }
            for hook in self.hooks() {
                let one = expression.replace("$hook", hook);
                filled.push((title.replace("$hook", hook), self.filled(&one)));
            }
        }
        filled
    }

    /// What each panel asks for, rows left out: at the scrape interval and over
    /// the time that are given as Grafana would have them.
    pub fn queries(&self, hooks: &[&str], interval: &str, range: &str) -> Vec<Query> {
        let mut queries = Vec::new();
        for panel in self.json["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expression = target["expr"].as_str().expect("an expression");
                let repeats: Vec<Option<&str>> = if expression.contains("$hook") {
                    hooks.iter().map(|hook| Some(*hook)).collect()
                } else {
                    vec![None]
                };
                for hook in repeats {
                    let one = expression.replace("$hook", hook.unwrap_or_default());
                    queries.push(Query {
                        panel: panel["id"].as_u64().expect("an id"),
                        hook: hook.map(str::to_owned),
                        letter: target["refId"].as_str().expect("a letter").to_owned(),
                        expression: self.filled_with(&one, interval, range),
                        instant: target["instant"] == true,
                    });
                }
            }
        }
        queries
    }

    /// Grafana's own variables for a data source that scrapes every 15 s, and an
    /// hour shown; several values of ours are alternatives.
    fn filled(&self, expression: &str) -> String {
        self.filled_with(expression, "1m0s", "3600s")
    }

    fn filled_with(&self, expression: &str, interval: &str, range: &str) -> String {
        let mut filled = expression
            .replace("$__rate_interval", interval)
            .replace("$__range", range);
        for (name, values) in &self.variables {
            let values = match &values[..] {
                [one] => one.clone(),
                several => format!("({})", several.join("|")),
            };
            filled = filled.replace(&format!("${name}"), &values);
        }
        assert!(!filled.contains('$'), "unknown variable: {filled}");
        filled
    }
}
