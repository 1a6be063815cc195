//! What is told on Telegram, and who may answer.

use serde::{Deserialize, Serialize};

use super::Secret;
use super::people::{self, People, Updates};

/// What is told on Telegram, and who may answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelegramSettings {
    /// Who may press the buttons beneath a card. Nobody: there are none.
    pub people: People,
    /// How presses come here.
    pub updates: Updates,
    /// What Telegram sends with every press, where it sends them here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<Secret>,
    /// The repairs that are offered.
    pub actions: Vec<String>,
}

impl Default for TelegramSettings {
    fn default() -> Self {
        Self {
            people: People::default(),
            updates: Updates::default(),
            webhook_secret: None,
            actions: people::actions(),
        }
    }
}
