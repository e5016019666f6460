//! Curves as SVG: the cost relative to the first point over a logarithmic axis, each point with its
//! ns.
//!
//! No more than the pages of `docs/` need. Next: `cost.rs`, where the points come from.

use crate::cost::Curve;
use std::fmt::Write as _;
use std::path::Path;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 50.0;
const TOP: f64 = 40.0;
const COLOURS: [&str; 2] = ["#1f6feb", "#d4691e"];

/// What must not be crossed, relative to the first point.
const LIMITS: [(&str, f64); 3] = [("customers", 2.0), ("partitions", 1.3), ("timers", 1.2)];

/// Writes a file for each thing that grows.
pub(crate) fn write(folder: &str, curves: &[(&'static str, &'static str, Curve)]) {
    for (what, limit) in LIMITS {
        let own: Vec<_> = curves.iter().filter(|(of, ..)| *of == what).collect();
        if !own.is_empty() {
            let lines: Vec<(&str, &Curve)> = own.iter().map(|it| (it.1, &it.2)).collect();
            let path = Path::new(folder).join(format!("growth-{what}.svg"));
            std::fs::write(&path, svg(what, limit, &lines)).expect("write the curve");
        }
    }
}

fn svg(what: &str, limit: f64, lines: &[(&str, &Curve)]) -> String {
    let points = || lines.iter().flat_map(|(_, curve)| relative(curve));
    let top = points().map(|(_, relative, _)| relative).fold(limit, f64::max) * 1.1;
    let xs: Vec<u64> = lines[0].1.iter().map(|(x, _)| *x).collect();
    let steps = (xs.len() - 1).max(1) as f64;
    // Every point is so many times the one before, but a first one of zero.
    let x = |value: u64| {
        let place = xs.iter().position(|it| *it == value).unwrap_or(0) as f64;
        LEFT + place / steps * (WIDTH - LEFT - 40.0)
    };
    let y = |relative: f64| HEIGHT - 40.0 - relative / top * (HEIGHT - 40.0 - TOP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"16\" font-size=\"13\">Cost of an order by {what}, relative to the \
         first point</text>\n"
    );
    let mut add = |text: String| writeln!(out, "{text}").expect("write to a string");
    for (name, at, colour) in [("0", 0.0, "#999"), ("1", 1.0, "#ccc"), ("limit", limit, "#c00")] {
        let (y, right) = (y(at), WIDTH - 40.0);
        add(format!(
            "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            LEFT - 6.0,
            y + 4.0
        ));
    }
    for value in &xs {
        let at = x(*value);
        add(format!(
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - 22.0,
            short(*value)
        ));
    }
    for (place, ((name, curve), colour)) in lines.iter().zip(COLOURS).enumerate() {
        let path: Vec<String> = relative(curve)
            .map(|(at, relative, _)| format!("{:.1},{:.1}", x(at), y(relative)))
            .collect();
        add(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        ));
        for (at, relative, ns) in relative(curve) {
            let above = if place == 0 { 16.0 } else { -8.0 };
            add(format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/><text x=\"{:.1}\" \
                 y=\"{:.1}\" text-anchor=\"middle\" fill=\"{colour}\">{ns:.0}</text>",
                x(at),
                y(relative),
                x(at),
                y(relative) + above
            ));
        }
        add(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}, ns</text>",
            LEFT + place as f64 * 120.0,
            HEIGHT - 5.0
        ));
    }
    out.push_str("</svg>\n");
    out
}

/// Where each point is, relative to the first, and its ns.
fn relative(curve: &Curve) -> impl Iterator<Item = (u64, f64, f64)> {
    let first = curve[0].1;
    curve.iter().map(move |(at, ns)| (*at, ns / first, *ns))
}

fn short(value: u64) -> String {
    match value {
        1_000_000.. => format!("{} M", value / 1_000_000),
        1_000.. => format!("{} k", value / 1_000),
        _ => value.to_string(),
    }
}
