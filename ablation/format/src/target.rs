//! Bars that a study judges its subject by, declared before the first run.

use crate::response::MainResponse;
use serde::{Deserialize, Serialize};

/// A bar for the subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// What is aimed at, in words.
    pub claim: String,
    /// Workloads that it is about, at least one.
    pub workloads: Vec<String>,
    /// Which number is held to the bar.
    #[serde(flatten)]
    pub kind: TargetKind,
    /// What is measured, where it is not the response of each workload.
    pub response: Option<TargetResponse>,
    /// The bar.
    pub bar: Bar,
}

/// Which number of the subject is held to a bar.
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

/// The peers that a target is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// Every peer: the bar must hold against each.
    Each,
    /// The peer that is best in each workload.
    Best,
    /// The one of this name.
    #[serde(untagged)]
    Peer(String),
}

impl Against {
    /// How people write it.
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
    /// The response, or the one above the line.
    pub of: MainResponse,
    /// The one below the line.
    pub over: Option<MainResponse>,
}

/// Where the good side of a number begins.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bar {
    /// The number may be as high as this.
    High(f64),
    /// The number may be as low as this.
    Low(f64),
}

impl Bar {
    /// The number itself.
    pub fn value(self) -> f64 {
        match self {
            Bar::High(bar) | Bar::Low(bar) => bar,
        }
    }

    /// Whether less is better.
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
