//! The last screen of the demo: every dimension in a line, the journey matrix, and the shift from
//! value created to value expanded.
//!
//! Text only; every number was computed elsewhere. Next: `census.rs`, the numbers; `report.rs`.

use crate::demo::census::{Census, Share};
use crate::demo::feed::CURRENCY;
use crate::demo::journal::Expansion;
use crate::demo::report::{money, thousands, wrapped};
use crate::domain::dimension::Dimension;
use crate::domain::dimensions::lifecycle::Stage;
use crate::domain::dimensions::rfm_map::RfmMap;

/// Value modes in the order of the columns, and how wide these are.
const MODES: [(&str, usize); 6] = [
    ("prospect", 9),
    ("creating", 9),
    ("expanding", 10),
    ("plateau", 8),
    ("contracting", 12),
    ("lapsed", 8),
];
/// Width of the last column.
const ALL: usize = 8;

/// What the data says of a dimension, or why it says nothing.
const SAYS: [(&str, &str); 5] = [
    ("activity", "real orders"),
    ("value_tier", "real revenue; the data has no costs"),
    ("engagement", "real orders, made-up visits"),
    ("satisfaction", "made-up answers; most were never asked"),
    ("qualification", "no sales talks in the data"),
];

/// Where customers stand in the dimensions that have no table of their own.
pub(super) fn dimensions(census: &Census, map: &RfmMap) -> String {
    let mut text = "\n  The other dimensions at the last order\n".to_owned();
    for (name, says) in SAYS {
        let shares = census.of(name);
        let dimension = Dimension::BUILT_IN.into_iter().find(|it| it.built_in_name() == name);
        let names = dimension.map_or_else(Vec::new, |it| it.value_names(map));
        let initial = names.first().map_or("", |name| name.as_str());
        let counted = |name: &str| shares.get(name).map_or(0, |share| share.customers);
        let values: Vec<String> = names
            .iter()
            .filter(|name| counted(name) > 0)
            .map(|name| format!("{} {}", name.replace('_', " "), thousands(counted(name))))
            .collect();
        let told = if values.len() == 1 && counted(initial) > 0 {
            format!("unknown: {says}")
        } else {
            format!("{} ({says})", values.join(", "))
        };
        text += &wrapped(&format!("{}: {told}", name.replace('_', " ")));
    }
    for (name, shares) in &census.by_dimension {
        let within = shares.get("in").copied().unwrap_or_default();
        if let Some(audience) = name.strip_prefix("audience:") {
            text += &wrapped(&format!(
                "audience {audience}: {} in, net {CURRENCY} {} (a rule in CEL, config/demo.toml)",
                thousands(within.customers),
                money(within.net_minor)
            ));
        }
    }
    text
}

/// Lifecycle by value mode: customers, and below them their revenue.
pub(super) fn matrix(census: &Census, at: &str) -> String {
    let mut text = format!(
        "\n  The journey at the last order, {at}: customers, and net {CURRENCY} in thousands\n\n"
    );
    text += &line("", &MODES.map(|(name, _)| name.to_owned()), "all");
    let mut totals = [Share::default(); MODES.len()];
    for stage in Stage::ALL.map(Stage::name) {
        let cells = MODES.map(|(mode, _)| {
            census.matrix.get(&(stage.to_owned(), mode.to_owned())).copied().unwrap_or_default()
        });
        for (total, cell) in totals.iter_mut().zip(cells) {
            total.add(cell);
        }
        text += &two_lines(stage, cells);
    }
    text += &two_lines("all", totals);
    text + "\n" + &wrapped("A value mode stays for at least 30 days: hence the few in between.")
}

fn two_lines(name: &str, cells: [Share; MODES.len()]) -> String {
    let mut all = Share::default();
    for cell in cells {
        all.add(cell);
    }
    if all.customers == 0 {
        return String::new();
    }
    let shown = |share: Share, text: String| if share.customers == 0 { "-".into() } else { text };
    let customers = cells.map(|share| shown(share, thousands(share.customers)));
    let revenue = cells.map(|share| match share.customers {
        0 => String::new(),
        _ => in_thousands(share.net_minor),
    });
    line(name, &customers, &thousands(all.customers))
        + &line("", &revenue, &in_thousands(all.net_minor))
}

fn line(name: &str, cells: &[String; MODES.len()], all: &str) -> String {
    let cells = cells.iter().zip(MODES).map(|(cell, (_, width))| format!("{cell:>width$}"));
    let line = format!("  {name:<13}{}{all:>ALL$}", cells.collect::<String>());
    format!("{}\n", line.trim_end())
}

/// Minor units as thousands of major ones, such as `1,234k`.
fn in_thousands(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}k", thousands((minor.unsigned_abs() + 50_000) / 100_000))
}

/// The shift that all of it is for.
pub(super) fn headline(expansion: &Expansion) -> String {
    let Expansion { customers, window_minor } = expansion;
    let headline = format!(
        "\n  {} customers moved from creating to expanding, worth {CURRENCY} {}\n",
        thousands(*customers),
        money(*window_minor)
    );
    headline
        + &wrapped(
            "worth = what they spent, net of refunds, in the window in which they moved: three of \
             each customer's own usual gaps, at least 90 days",
        )
}
