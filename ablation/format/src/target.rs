//! Targets: limits that a study judges its subject by, declared before the first run.

use crate::response::MainResponse;
use serde::{Deserialize, Serialize};

/// A limit for the subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// What is aimed at, in words.
    pub claim: String,
    /// Workloads that it is about, at least one.
    pub workloads: Vec<String>,
    /// The number that is compared with the limit.
    #[serde(flatten)]
    pub kind: TargetKind,
    /// The response that is measured; `None`: the response of each workload.
    pub response: Option<TargetResponse>,
    /// The limit, in the unit of the number.
    pub bar: Bar,
}

/// The number of the subject that is compared with a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TargetKind {
    /// The geometric mean over the workloads of subject / peer.
    Ratio {
        /// Which peers.
        peer: Against,
    },
    /// Subject / peer in every single workload.
    Rows {
        /// Which peers.
        peer: Against,
    },
    /// The subject's own response in every workload.
    Value,
    /// The subject's response in the first workload over that in the second.
    Between,
}

impl TargetKind {
    /// The kind's name in files and tables.
    pub fn as_str(&self) -> &'static str {
        match self {
            TargetKind::Ratio { .. } => "ratio",
            TargetKind::Rows { .. } => "rows",
            TargetKind::Value => "value",
            TargetKind::Between => "between",
        }
    }
}

/// The peers that a target compares with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// Every peer. The limit must hold against each.
    Each,
    /// In each workload, the peer that is best there.
    Best,
    /// The peer of this name.
    #[serde(untagged)]
    Peer(String),
}

impl Against {
    /// The word in configs and tables: `each`, `best` or the name of the peer.
    pub fn as_str(&self) -> &str {
        match self {
            Against::Each => "each",
            Against::Best => "best",
            Against::Peer(name) => name,
        }
    }
}

/// What a target measures: a response, or the quotient of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetResponse {
    /// The response, or the numerator of the quotient.
    pub of: MainResponse,
    /// The denominator of the quotient; `None` for one response.
    pub over: Option<MainResponse>,
}

/// A limit, with the side of it that is good.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bar {
    /// The number must be this or less.
    High(f64),
    /// The number must be this or more.
    Low(f64),
}

impl Bar {
    /// The limit itself.
    pub fn value(self) -> f64 {
        match self {
            Bar::High(bar) | Bar::Low(bar) => bar,
        }
    }

    /// Whether it is an upper limit, so that less is better.
    pub fn is_high(self) -> bool {
        matches!(self, Bar::High(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_survives_the_round_trip() {
        let kinds = [
            TargetKind::Ratio { peer: Against::Each },
            TargetKind::Rows { peer: Against::Best },
            TargetKind::Rows { peer: Against::Peer("other".into()) },
            TargetKind::Value,
            TargetKind::Between,
        ];
        for kind in kinds {
            let quotient = TargetResponse { of: MainResponse::P99, over: Some(MainResponse::P50) };
            let target = Target {
                name: "t".into(),
                claim: "c".into(),
                workloads: vec!["w".into()],
                response: Some(quotient).filter(|_| kind == TargetKind::Value),
                kind,
                bar: Bar::Low(0.5),
            };
            let text = serde_json::to_string(&target).expect("is text");
            assert!(text.contains(&format!("\"kind\":\"{}\"", target.kind.as_str())), "{text}");
            assert_eq!(serde_json::from_str::<Target>(&text).expect("is a target"), target, "{text}");
        }
    }
}
