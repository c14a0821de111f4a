// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Panels as Grafana has them, by plotters.

use std::ops::Range;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde_json::Value;

use crate::units::shown;
use crate::{Answers, Placed, Series};

/// Pixels of a cell of the grid.
const CELL: (u64, u64) = (58, 30);
const GAP: i32 = 4;
const PAPER: RGBColor = RGBColor(244, 245, 245);
const INK: RGBColor = RGBColor(36, 41, 46);
const FAINT: RGBColor = RGBColor(130, 135, 140);
/// Told apart by those who do not tell red from green (Okabe and Ito), and two
/// more.
const COLOURS: [RGBColor; 10] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(150, 140, 20),
    RGBColor(90, 90, 90),
    RGBColor(120, 60, 160),
    RGBColor(160, 82, 45),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub fn all(placed: &[Placed], answers: &Answers) -> Result<String> {
    let bottom = placed
        .iter()
        .map(|panel| panel.y + panel.h)
        .max()
        .unwrap_or(1);
    let size = ((24 * CELL.0) as u32, (bottom * CELL.1) as u32);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&PAPER)?;
        for panel in placed {
            let pixels = |from: u64, length: u64, cell: u64| {
                (from * cell) as u32..((from + length) * cell) as u32
            };
            let (x, y) = (
                pixels(panel.x, panel.w, CELL.0),
                pixels(panel.y, panel.h, CELL.1),
            );
            let area = root
                .clone()
                .shrink((x.start, y.start), (x.end - x.start, y.end - y.start));
            draw(&area, panel, answers)?;
        }
        root.present()?;
    }
    Ok(svg)
}

fn draw(area: &Area, placed: &Placed, answers: &Answers) -> Result<()> {
    let panel = placed.panel;
    let hook = placed.hook.as_deref().unwrap_or("");
    let title = panel["title"]
        .as_str()
        .unwrap_or("")
        .replace("$hook", hook)
        .replace("$quantile", "0.99");
    if panel["type"] == "row" {
        return text(area, &format!("▾ {title}"), (GAP, 7), 16, &INK, HPos::Left);
    }
    let (width, height) = size(area);
    let frame = Rectangle::new([(GAP, GAP), (width - GAP, height - GAP)], WHITE.filled());
    area.draw(&frame).map_err(broken)?;
    text(area, &title, (GAP + 8, GAP + 6), 14, &INK, HPos::Left)?;
    let inner = area.margin(28, 10, 14, 14);
    let of = |target: &Value| {
        let key = (
            panel["id"].as_u64().unwrap_or(0),
            placed.hook.clone(),
            target["refId"].as_str().unwrap_or("").to_owned(),
        );
        answers.get(&key).map_or(&[][..], Vec::as_slice)
    };
    let targets = panel["targets"]
        .as_array()
        .ok_or_else(|| anyhow!("{title} has no targets"))?;
    let lines: Vec<Line> = targets
        .iter()
        .flat_map(|target| of(target).iter().map(|series| Line::of(series, target)))
        .collect();
    if lines.is_empty() {
        let (width, height) = size(&inner);
        return text(
            &inner,
            "No data",
            (width / 2, height / 2),
            16,
            &FAINT,
            HPos::Center,
        );
    }
    let unit = panel["fieldConfig"]["defaults"]["unit"]
        .as_str()
        .unwrap_or("none");
    match panel["type"].as_str() {
        Some("stat") => stat(&inner, &lines, unit),
        Some("table") => table(&inner, panel, targets, of),
        Some("heatmap") => heatmap(&inner, &lines),
        _ => {
            let log =
                panel["fieldConfig"]["defaults"]["custom"]["scaleDistribution"]["type"] == "log";
            graph(&inner, &lines, unit, log)
        }
    }
}

/// A series as it is drawn.
struct Line {
    name: String,
    le: Option<String>,
    points: Vec<(f64, f64)>,
}

impl Line {
    fn of(series: &Series, target: &Value) -> Line {
        let mut name = target["legendFormat"].as_str().unwrap_or("").to_owned();
        for (label, value) in &series.metric {
            name = name.replace(&format!("{{{{{label}}}}}"), value);
        }
        // Labels that it does not have.
        while let (Some(from), Some(to)) = (name.find("{{"), name.find("}}")) {
            name.replace_range(from..to + 2, "");
        }
        let points = series
            .values
            .iter()
            .filter_map(|(time, value)| Some((*time, value.parse().ok()?)));
        Line {
            name: name.trim().to_owned(),
            le: series.metric.get("le").cloned(),
            points: points
                .filter(|(_, value): &(f64, f64)| value.is_finite())
                .collect(),
        }
    }

    fn last(&self) -> Option<f64> {
        self.points.last().map(|(_, value)| *value)
    }

    fn max(&self) -> Option<f64> {
        self.points
            .iter()
            .map(|(_, value)| *value)
            .max_by(f64::total_cmp)
    }
}

fn stat(area: &Area, lines: &[Line], unit: &str) -> Result<()> {
    let (width, height) = size(area);
    let each = width / lines.len() as i32;
    for (line, n) in lines.iter().zip(0..) {
        let x = each * n + each / 2;
        let value = line.last().map_or("-".into(), |value| shown(value, unit));
        let big = if value.len() > 8 { 22 } else { 30 };
        text(
            area,
            &value,
            (x, height / 2 - 18),
            big,
            &COLOURS[0],
            HPos::Center,
        )?;
        if lines.len() > 1 || line.name.contains("settl") {
            text(
                area,
                &line.name,
                (x, height / 2 + 20),
                13,
                &FAINT,
                HPos::Center,
            )?;
        }
    }
    Ok(())
}

fn table<'s>(
    area: &Area,
    panel: &Value,
    targets: &[Value],
    of: impl Fn(&Value) -> &'s [Series],
) -> Result<()> {
    let organize = &panel["transformations"][1]["options"]["renameByName"];
    let (width, height) = size(area);
    let rows: Vec<&Series> = {
        // By the column that is hidden: the place on the way.
        let mut rows: Vec<&Series> = of(&targets[0]).iter().collect();
        let place = |series: &Series| series.values[0].1.parse::<f64>().unwrap_or(0.0);
        rows.sort_by(|a, b| place(a).total_cmp(&place(b)));
        rows
    };
    let columns = &targets[1..];
    let step = height / (rows.len() as i32 + 1);
    let x_of = |n: usize| width * (n as i32 + 2) / (columns.len() as i32 + 2) + 40;
    text(area, "hook", (0, 0), 13, &FAINT, HPos::Left)?;
    for (target, n) in columns.iter().zip(0..) {
        let letter = target["refId"].as_str().unwrap_or("");
        let name = organize[format!("Value #{letter}")]
            .as_str()
            .unwrap_or(letter);
        text(area, name, (x_of(n), 0), 13, &FAINT, HPos::Right)?;
    }
    for (row, y) in rows.iter().zip((1..).map(|n| n * step)) {
        let hook = &row.metric["hook"];
        text(area, hook, (0, y), 14, &INK, HPos::Left)?;
        for (target, n) in columns.iter().zip(0..) {
            let letter = target["refId"].as_str().unwrap_or("");
            let unit = match organize[format!("Value #{letter}")].as_str() {
                Some("samples") => "short",
                Some("not measured") => "percentunit",
                _ => "s",
            };
            let value = of(target)
                .iter()
                .find(|series| series.metric["hook"] == *hook);
            let value = value.and_then(|series| series.values[0].1.parse::<f64>().ok());
            let value = value.filter(|value| value.is_finite());
            let value = value.map_or("-".into(), |value| shown(value, unit));
            text(area, &value, (x_of(n), y), 14, &INK, HPos::Right)?;
        }
    }
    Ok(())
}

fn graph(area: &Area, lines: &[Line], unit: &str, log: bool) -> Result<()> {
    let (width, height) = size(area);
    let legend = 17 * lines.len().min(10) as i32;
    let chart = area
        .clone()
        .shrink((0, 0), (width as u32, (height - legend).max(60) as u32));
    let values = || {
        lines
            .iter()
            .flat_map(|line| &line.points)
            .map(|(_, value)| *value)
    };
    let times = range(
        lines
            .iter()
            .flat_map(|line| &line.points)
            .map(|(time, _)| *time),
    );
    let highest = values().fold(0.0, f64::max);
    if log {
        let lowest = values()
            .filter(|value| *value > 0.0)
            .fold(f64::INFINITY, f64::min);
        let (low, high) = if lowest.is_finite() { (lowest / 1.5, highest * 1.5) } else { (0.1, 1.0) };
        lines_in(
            &chart,
            lines,
            times,
            (low..high).log_scale().base(2.0),
            unit,
        )?;
    } else {
        let high = if highest > 0.0 { highest * 1.1 } else { 1.0 };
        lines_in(&chart, lines, times, 0.0..high, unit)?;
    }
    for (line, n) in lines.iter().take(10).zip(0usize..) {
        let y = height - legend + 17 * n as i32;
        let mark = Rectangle::new(
            [(0, y + 5), (14, y + 8)],
            COLOURS[n % COLOURS.len()].filled(),
        );
        area.draw(&mark).map_err(broken)?;
        text(area, &line.name, (20, y), 12, &INK, HPos::Left)?;
        let value = |value: Option<f64>| value.map_or("-".into(), |value| shown(value, unit));
        text(
            area,
            &format!("last {}", value(line.last())),
            (width - 110, y),
            12,
            &FAINT,
            HPos::Right,
        )?;
        text(
            area,
            &format!("max {}", value(line.max())),
            (width, y),
            12,
            &FAINT,
            HPos::Right,
        )?;
    }
    Ok(())
}

fn lines_in<Y>(area: &Area, lines: &[Line], times: Range<f64>, values: Y, unit: &str) -> Result<()>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let begin = times.start;
    let mut chart = ChartBuilder::on(area)
        .x_label_area_size(22)
        .y_label_area_size(64)
        .build_cartesian_2d(times, values)
        .map_err(broken)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 227, 229))
        .axis_style(FAINT)
        .x_labels(6)
        .y_labels(5)
        .x_label_formatter(&|time| format!("+{:.0} s", time - begin))
        .y_label_formatter(&|value| shown(*value, unit))
        .label_style(("sans-serif", 11, &FAINT))
        .draw()
        .map_err(broken)?;
    for (line, n) in lines.iter().zip(0usize..) {
        let colour = COLOURS[n % COLOURS.len()].stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), colour))
            .map_err(broken)?;
    }
    Ok(())
}

/// Cumulative counts by bound and time, as cells.
fn heatmap(area: &Area, lines: &[Line]) -> Result<()> {
    let mut rows: Vec<(f64, &Line)> = lines
        .iter()
        .filter_map(|line| Some((line.le.as_ref()?.parse().ok()?, line)))
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut times: Vec<f64> = rows
        .iter()
        .flat_map(|(_, line)| &line.points)
        .map(|(time, _)| *time)
        .collect();
    times.sort_by(f64::total_cmp);
    times.dedup();
    let at = |line: &Line, time: f64| {
        let found = line.points.iter().find(|(other, _)| *other == time);
        found.map_or(0.0, |(_, value)| *value)
    };
    let cell = |row: usize, time: f64| {
        let below = row
            .checked_sub(1)
            .map_or(0.0, |below| at(rows[below].1, time));
        (at(rows[row].1, time) - below).max(0.0)
    };
    let most = (0..rows.len()).flat_map(|row| times.iter().map(move |time| (row, *time)));
    let most = most.map(|(row, time)| cell(row, time)).fold(0.0, f64::max);
    let (width, height) = size(area);
    let (left, bottom) = (64, 20);
    let y_of = |row: usize| (height - bottom) * (rows.len() - row) as i32 / rows.len() as i32;
    let x_of = |n: usize| left + (width - left) * n as i32 / times.len() as i32;
    for row in 0..rows.len() {
        let bound = match rows[row].0 {
            bound if bound.is_finite() => shown(bound, "s"),
            _ => "above".into(),
        };
        if row % 2 == 0 || row + 1 == rows.len() {
            text(
                area,
                &bound,
                (left - 6, (y_of(row) + y_of(row + 1)) / 2 - 7),
                11,
                &FAINT,
                HPos::Right,
            )?;
        }
        for (n, time) in times.iter().enumerate() {
            let count = cell(row, *time);
            if count > 0.0 {
                let share = (count / most).sqrt();
                let fade = |full: u8| 255 - ((255.0 - f64::from(full)) * share) as u8;
                let colour = RGBColor(fade(217), fade(72), fade(1));
                let place = [
                    (x_of(n), y_of(row + 1) + 1),
                    (x_of(n + 1) - 1, y_of(row) - 1),
                ];
                area.draw(&Rectangle::new(place, colour.filled()))
                    .map_err(broken)?;
            }
        }
    }
    let length = times.last().unwrap_or(&0.0) - times.first().unwrap_or(&0.0);
    text(area, "+0 s", (left, height - 14), 11, &FAINT, HPos::Left)?;
    text(
        area,
        &format!("+{length:.0} s"),
        (width, height - 14),
        11,
        &FAINT,
        HPos::Right,
    )
}

fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    low..high.max(low + 1.0)
}

fn size(area: &Area) -> (i32, i32) {
    let (width, height) = area.dim_in_pixel();
    (width as i32, height as i32)
}

fn text(
    area: &Area,
    words: &str,
    at: (i32, i32),
    size: i32,
    colour: &RGBColor,
    h: HPos,
) -> Result<()> {
    let style = ("sans-serif", size)
        .into_font()
        .color(colour)
        .pos(Pos::new(h, VPos::Top));
    area.draw_text(words, &style, at).map_err(broken)
}

fn broken<E: std::fmt::Debug + std::fmt::Display>(error: E) -> anyhow::Error {
    anyhow!("drawing: {error}")
}
