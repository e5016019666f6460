//! Rules in CEL, compiled into conditions that are exact and total.
//!
//! The crate `cel` parses; what is understood of the tree is listed in `docs/dimensions.md`, and
//! all else is refused here with the place marked: nothing is left to fail on a customer.
//! Next: `domain/predicate`, what comes out.

mod limits;

use crate::domain::dimension::Dimension;
use crate::domain::dimensions::rfm_map::RfmMap;
use crate::domain::facts::surveys::Topic;
use crate::domain::predicate::quantity::Quantity;
use crate::domain::predicate::season::Seasons;
use crate::domain::predicate::{Comparison, EVERY_NUMBER, Predicate, Text, TextTest};
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo, operators};
use cel::parser::Parser;

/// Names that a rule may compare with; `None` = they are not known, for want of a sound table.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// The values of `rfm`.
    pub(super) map: Option<&'a RfmMap>,
    /// The seasons.
    pub(super) seasons: Option<&'a Seasons>,
}

/// Compiles a rule.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn compile(source: &str, known: Known<'_>) -> Result<Predicate, String> {
    if source.trim().is_empty() {
        return Err("expected a condition such as 'lifecycle == \"lapsed\"'".to_owned());
    }
    limits::check(source)?;
    let parser = Parser::new();
    let (expression, places) = parser.parse_with_source_info(source).map_err(|errors| {
        let first = errors.errors.first();
        first.map_or_else(|| "expected CEL".to_owned(), |error| syntax_error(source, error))
    })?;
    let compiler = Compiler { source, places: &places, known };
    let predicate = compiler.condition(&expression)?;
    limits::comparisons(predicate.comparisons())?;
    Ok(predicate)
}

fn syntax_error(source: &str, error: &cel::ParseError) -> String {
    let (line, column) = error.pos;
    let line = usize::try_from(line - 1).ok().and_then(|line| source.lines().nth(line));
    let column = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    let message = format!("expected CEL: {}", error.msg);
    line.map_or(message.clone(), |line| marked(&message, line, column, 1))
}

/// A message with a line of the source below it, and the place below that.
fn marked(message: &str, line: &str, column: usize, length: usize) -> String {
    let before = line.get(..column).unwrap_or(line).chars().count();
    let marked = line.get(column..column + length).map_or(1, |part| part.chars().count().max(1));
    format!("{message}\n      {line}\n      {}{}", " ".repeat(before), "^".repeat(marked))
}

struct Compiler<'a> {
    source: &'a str,
    places: &'a SourceInfo,
    known: Known<'a>,
}

/// Something that is compared.
enum Value {
    Dimension(Dimension),
    Text(Text),
    Number(Quantity),
    Consent(String),
    String(String),
    /// In thousandths.
    Constant(i64),
    Boolean(bool),
    List(Vec<Value>),
}

impl Value {
    const fn what(&self) -> &'static str {
        match self {
            Self::Dimension(_) => "a dimension",
            Self::Text(_) => "a text of the customer",
            Self::Number(_) => "a number of the customer",
            Self::Consent(_) => "a permission",
            Self::String(_) => "a text",
            Self::Constant(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
        }
    }
}

impl Compiler<'_> {
    fn refuse<T>(&self, at: &IdedExpr, message: impl AsRef<str>) -> Result<T, String> {
        let (start, stop) = self.places.offset_for(at.id).unwrap_or((0, 0));
        let (start, stop) = (start as usize, stop as usize);
        let begin = self.source.get(..start).and_then(|it| it.rfind('\n')).map_or(0, |it| it + 1);
        let line = self.source.get(begin..).and_then(|it| it.lines().next()).unwrap_or("");
        let length = (stop + 1).saturating_sub(start);
        Err(marked(message.as_ref(), line, start - begin.min(start), length))
    }

    fn condition(&self, expression: &IdedExpr) -> Result<Predicate, String> {
        if let Expr::Call(call) = &expression.expr {
            let part = |place: usize| match call.args.get(place) {
                Some(argument) => self.condition(argument),
                None => self.refuse(expression, "expected another operand"),
            };
            match call.func_name.as_str() {
                operators::LOGICAL_AND => return Ok(Predicate::All(vec![part(0)?, part(1)?])),
                operators::LOGICAL_OR => return Ok(Predicate::Any(vec![part(0)?, part(1)?])),
                operators::LOGICAL_NOT => return Ok(Predicate::Not(Box::new(part(0)?))),
                operators::CONDITIONAL => {
                    let (condition, then, other) = (part(0)?, part(1)?, part(2)?);
                    let not = Predicate::Not(Box::new(condition.clone()));
                    return Ok(Predicate::Any(vec![
                        Predicate::All(vec![condition, then]),
                        Predicate::All(vec![not, other]),
                    ]));
                }
                name => {
                    if let Some(comparison) = comparison(name) {
                        return self.compare(expression, call, comparison);
                    }
                    match name {
                        operators::IN => return self.is_in(expression, call),
                        "startsWith" | "endsWith" | "contains" => {
                            return self.text_test(expression, call);
                        }
                        _ => {}
                    }
                }
            }
        }
        if let Expr::Select(SelectExpr { operand, field, test: true }) = &expression.expr {
            return self.is_known(expression, operand, field);
        }
        match self.value(expression)? {
            Value::Boolean(holds) => Ok(Predicate::Constant(holds)),
            Value::Consent(purpose) => Ok(Predicate::Consent(purpose)),
            other => {
                let what = other.what();
                self.refuse(expression, format!("expected a condition, this is {what}"))
            }
        }
    }

    /// `has(...)`.
    fn is_known(
        &self,
        expression: &IdedExpr,
        operand: &IdedExpr,
        field: &str,
    ) -> Result<Predicate, String> {
        match self.member(expression, operand, field)? {
            Value::Text(text) => {
                let empty = TextTest::OneOf(vec![String::new()]);
                Ok(Predicate::Not(Box::new(Predicate::Text(text, empty))))
            }
            Value::Number(quantity) => {
                Ok(Predicate::Number(quantity, Comparison::More, EVERY_NUMBER))
            }
            _ => self.refuse(expression, "expected has() of a trait, a fact or a survey"),
        }
    }

    fn compare(
        &self,
        expression: &IdedExpr,
        call: &CallExpr,
        (comparison, negated): (Comparison, bool),
    ) -> Result<Predicate, String> {
        let [left, right] = call.args.as_slice() else {
            return self.refuse(expression, "expected two operands");
        };
        let values = (self.value(left)?, self.value(right)?);
        let equal = comparison == Comparison::Equal;
        let predicate = match values {
            (Value::Number(quantity), Value::Constant(milli)) => {
                Predicate::Number(quantity, comparison, milli)
            }
            (Value::Constant(milli), Value::Number(quantity)) => {
                Predicate::Number(quantity, flipped(comparison), milli)
            }
            (Value::Dimension(dimension), Value::String(name))
            | (Value::String(name), Value::Dimension(dimension))
                if equal =>
            {
                self.dimension(expression, dimension, vec![name])?
            }
            (Value::Text(text), Value::String(value))
            | (Value::String(value), Value::Text(text))
                if equal =>
            {
                self.one_of(expression, text, vec![value])?
            }
            (Value::Consent(purpose), Value::Boolean(given))
            | (Value::Boolean(given), Value::Consent(purpose))
                if equal =>
            {
                let consent = Predicate::Consent(purpose);
                if given { consent } else { Predicate::Not(Box::new(consent)) }
            }
            (left, right) => {
                let (left, right) = (left.what(), right.what());
                let message = format!(
                    "{left} and {right} cannot be compared so; a value of the customer is compared \
                     with a constant of its kind, texts by ==, != and in"
                );
                return self.refuse(expression, message);
            }
        };
        Ok(if negated { Predicate::Not(Box::new(predicate)) } else { predicate })
    }

    fn dimension(
        &self,
        expression: &IdedExpr,
        dimension: Dimension,
        names: Vec<String>,
    ) -> Result<Predicate, String> {
        // With a broken map its names are not known.
        let Some(map) = self.known.map else { return Ok(Predicate::Dimension(dimension, names)) };
        let known = dimension.value_names(map);
        for name in &names {
            if !known.iter().any(|known| known == name.as_str()) {
                let known: Vec<&str> = known.iter().map(|name| &**name).collect();
                let message = format!(
                    "{} is never \"{name}\"; expected {}",
                    dimension.built_in_name(),
                    known.join(", ")
                );
                return self.refuse(expression, message);
            }
        }
        Ok(Predicate::Dimension(dimension, names))
    }

    /// A text is one of some; a season has to be one that there is, or none.
    fn one_of(
        &self,
        expression: &IdedExpr,
        text: Text,
        names: Vec<String>,
    ) -> Result<Predicate, String> {
        if let (Text::Season, Some(seasons)) = (&text, self.known.seasons) {
            let known = seasons.names();
            let is_known = |name: &&String| name.is_empty() || known.contains(name.as_str());
            if let Some(name) = names.iter().find(|name| !is_known(name)) {
                let hint = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None if known.is_empty() => "there is no [season] with months".to_owned(),
                    None => format!("expected {}", Vec::from_iter(known).join(", ")),
                };
                return self.refuse(expression, format!("season is never \"{name}\"; {hint}"));
            }
        }
        Ok(Predicate::Text(text, TextTest::OneOf(names)))
    }

    fn is_in(&self, expression: &IdedExpr, call: &CallExpr) -> Result<Predicate, String> {
        let [value, list] = call.args.as_slice() else {
            return self.refuse(expression, "expected two operands");
        };
        let Value::List(elements) = self.value(list)? else {
            return self.refuse(list, "expected a list such as [\"a\", \"b\"]");
        };
        let names: Option<Vec<String>> = elements
            .iter()
            .map(|element| match element {
                Value::String(text) => Some(text.clone()),
                _ => None,
            })
            .collect();
        match (self.value(value)?, names) {
            (Value::Dimension(dimension), Some(names)) => {
                self.dimension(expression, dimension, names)
            }
            (Value::Text(text), Some(names)) => self.one_of(expression, text, names),
            (Value::Number(quantity), None) => {
                let one = |element: &Value| match element {
                    Value::Constant(milli) => {
                        Ok(Predicate::Number(quantity, Comparison::Equal, *milli))
                    }
                    _ => self.refuse(list, "expected a list of numbers"),
                };
                Ok(Predicate::Any(elements.iter().map(one).collect::<Result<_, _>>()?))
            }
            (value, _) => {
                let what = value.what();
                self.refuse(expression, format!("{what} cannot be looked for in this list"))
            }
        }
    }

    fn text_test(&self, expression: &IdedExpr, call: &CallExpr) -> Result<Predicate, String> {
        let (Some(target), [part]) = (&call.target, call.args.as_slice()) else {
            return self.refuse(expression, "expected text.startsWith(\"part\")");
        };
        match (self.value(target)?, self.value(part)?) {
            (Value::Text(text), Value::String(part)) => {
                let test = match call.func_name.as_str() {
                    "startsWith" => TextTest::StartsWith(part),
                    "endsWith" => TextTest::EndsWith(part),
                    _ => TextTest::Contains(part),
                };
                self.season_test(expression, &text, &test)?;
                Ok(Predicate::Text(text, test))
            }
            _ => self.refuse(expression, "expected a text of the customer and a constant text"),
        }
    }

    /// What is asked of a season has to be true of one that there is, or of none.
    fn season_test(&self, at: &IdedExpr, text: &Text, test: &TextTest) -> Result<(), String> {
        let (Text::Season, Some(seasons)) = (text, self.known.seasons) else { return Ok(()) };
        let known = seasons.names();
        if known.iter().copied().chain([""]).any(|name| test.holds(name)) {
            return Ok(());
        }
        match known.is_empty() {
            true => self.refuse(at, "no season is so; there is no [season] with months"),
            false => {
                let known = Vec::from_iter(known).join(", ");
                self.refuse(at, format!("no season is so; there are {known}"))
            }
        }
    }

    fn value(&self, expression: &IdedExpr) -> Result<Value, String> {
        match &expression.expr {
            Expr::Literal(LiteralValue::String(text)) => Ok(Value::String(text.inner().to_owned())),
            Expr::Literal(LiteralValue::Boolean(value)) => Ok(Value::Boolean(*value.inner())),
            Expr::Literal(LiteralValue::Int(number)) => match number.inner().checked_mul(1000) {
                Some(milli) => Ok(Value::Constant(milli)),
                None => self.refuse(expression, "expected a smaller number"),
            },
            Expr::Literal(LiteralValue::Double(number)) => {
                self.decimal(expression, *number.inner())
            }
            Expr::Ident(name) => self.name(expression, name),
            Expr::Select(SelectExpr { operand, field, test: false }) => {
                self.member(expression, operand, field)
            }
            Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
                [operand, index] => match self.value(index)? {
                    Value::String(field) => self.member(expression, operand, &field),
                    _ => self.refuse(index, "expected a name in quotes"),
                },
                _ => self.refuse(expression, "expected a name in brackets"),
            },
            Expr::Call(call) if call.func_name == operators::NEGATE => {
                match call.args.first().map(|argument| self.value(argument)) {
                    Some(Ok(Value::Constant(milli))) => Ok(Value::Constant(-milli)),
                    _ => self.refuse(expression, "expected a number behind the sign"),
                }
            }
            Expr::List(list) => {
                let elements = list.elements.iter().map(|element| self.value(element));
                Ok(Value::List(elements.collect::<Result<_, _>>()?))
            }
            _ => self.refuse(
                expression,
                "this cannot be evaluated exactly; values are compared with constants by ==, !=, \
                 <, <=, >, >=, in, startsWith, endsWith, contains, joined by &&, || and !",
            ),
        }
    }

    /// A decimal of at most three places: the same in thousandths.
    fn decimal(&self, expression: &IdedExpr, number: f64) -> Result<Value, String> {
        let milli = (number * 1000.0).round();
        #[expect(clippy::cast_possible_truncation, reason = "far below 2^53, by the check")]
        let whole = milli as i64;
        #[expect(clippy::float_cmp, reason = "exactly representable, or refused")]
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53, by the check")]
        let exact = milli.abs() < 1e15 && whole as f64 / 1000.0 == number;
        if exact {
            Ok(Value::Constant(whole))
        } else {
            self.refuse(expression, "expected a number with at most three decimals")
        }
    }

    fn name(&self, expression: &IdedExpr, name: &str) -> Result<Value, String> {
        match name {
            "season" => return Ok(Value::Text(Text::Season)),
            "preferred_category" => return Ok(Value::Text(Text::PreferredCategory)),
            "preferred_channel" => return Ok(Value::Text(Text::PreferredChannel)),
            "facts" | "surveys" | "traits" | "consent" => {
                let message = format!("expected a name in it, such as {name}[\"name\"]");
                return self.refuse(expression, message);
            }
            _ => {}
        }
        let mut dimensions = Dimension::BUILT_IN.into_iter();
        match dimensions.find(|dimension| dimension.built_in_name() == name) {
            Some(dimension) => Ok(Value::Dimension(dimension)),
            None => {
                let mut known = vec![
                    "facts",
                    "traits",
                    "consent",
                    "surveys",
                    "season",
                    "preferred_category",
                    "preferred_channel",
                ];
                known.extend(Dimension::BUILT_IN.map(Dimension::built_in_name));
                self.refuse(expression, unknown(name, known.into_iter()))
            }
        }
    }

    fn member(
        &self,
        expression: &IdedExpr,
        operand: &IdedExpr,
        field: &str,
    ) -> Result<Value, String> {
        let Expr::Ident(object) = &operand.expr else {
            return self.refuse(expression, "expected a name such as traits.region");
        };
        match object.as_str() {
            "traits" => Ok(Value::Text(Text::Trait(field.to_owned()))),
            "consent" => Ok(Value::Consent(field.to_owned())),
            "facts" => match Quantity::FACTS.iter().find(|(name, _)| *name == field) {
                Some((_, quantity)) => Ok(Value::Number(*quantity)),
                None => {
                    let known = Quantity::FACTS.iter().map(|(name, _)| *name);
                    self.refuse(expression, unknown(field, known))
                }
            },
            "surveys" => {
                let scored = || Topic::ALL.into_iter().filter(|it| *it != Topic::PurchaseReason);
                match scored().find(|topic| topic.name() == field) {
                    Some(topic) => Ok(Value::Number(Quantity::Survey(topic))),
                    None => self.refuse(expression, unknown(field, scored().map(Topic::name))),
                }
            }
            other => {
                let known = ["facts", "traits", "consent", "surveys"];
                self.refuse(operand, unknown(other, known.into_iter()))
            }
        }
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("unknown name \"{name}\"; did you mean {near}?"),
        None => format!("unknown name \"{name}\"; expected one of {}", known.join(", ")),
    }
}

/// The name that was meant, if one is near.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|known| (strsim::damerau_levenshtein(known, name), known));
    near.min().filter(|(distance, _)| *distance <= 2).map(|(_, near)| near)
}

/// The comparison that an operator stands for, and whether its opposite is meant.
fn comparison(operator: &str) -> Option<(Comparison, bool)> {
    Some(match operator {
        operators::EQUALS => (Comparison::Equal, false),
        operators::NOT_EQUALS => (Comparison::Equal, true),
        operators::LESS => (Comparison::Less, false),
        operators::LESS_EQUALS => (Comparison::AtMost, false),
        operators::GREATER => (Comparison::More, false),
        operators::GREATER_EQUALS => (Comparison::AtLeast, false),
        _ => return None,
    })
}

/// The same comparison with its operands exchanged.
const fn flipped(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::More,
        Comparison::AtMost => Comparison::AtLeast,
        Comparison::Equal => Comparison::Equal,
        Comparison::AtLeast => Comparison::AtMost,
        Comparison::More => Comparison::Less,
    }
}

#[cfg(test)]
mod tests;
