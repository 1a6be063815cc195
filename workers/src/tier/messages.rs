//! Which messages are sent: those of incidents that opened, and of levels that rose.

use std::collections::{HashMap, HashSet};

use sea_orm::{DatabaseTransaction, DbErr};
use tocsin::context::Context;
use tocsin::domain::again::{self, CardRef, FormerIncident, Opening};
use tocsin::domain::flapping;
use tocsin::domain::level::Level;
use tocsin::domain::messages::{self, Candidate, Policy, Rise, Suppression};
use tocsin::domain::notification::Kind;
use tocsin::domain::routing::RoutingKey;
use tocsin::entity::anomalies::Model as Anomaly;
use tocsin::entity::windows::{Model as Window, holding};
use tocsin::store::notifications::SuppressedCount;
use tocsin::store::{cards, levels, notifications, windows};
use uuid::Uuid;

use super::{LockedAnomalies, TierError};

/// Writes the messages that the incidents opened, and that levels rose; returns how many of them are
/// suppressed. Of a muted anomaly only a rise to `PERMANENT_FIX` is sent, once; an incident whose anomaly was
/// told lately continues on the card of the one before.
pub(super) async fn write(
    context: &Context,
    tx: &DatabaseTransaction,
    locked: &LockedAnomalies,
    risen: &HashSet<String>,
) -> Result<SuppressedCount, TierError> {
    let policy = context.config.messages();
    let ids: Vec<Uuid> = locked.due.iter().map(|(id, _)| *id).collect();
    let existing = notifications::existing(tx, &ids).await?;
    let mut rises: Vec<Rise> = risen.iter().filter_map(|key| rise(locked, key)).collect();
    let about: Vec<Uuid> = rises.iter().map(|rise| rise.incident).collect();
    let opened_at = levels::opened(tx, &about).await?;
    for rise in &mut rises {
        rise.opened_at = opened_at.get(&rise.incident).copied();
    }
    // What says that an anomaly flaps says its level, too.
    let flapping = locked.begun_to_flap();
    let flapping = flapping.map(|incident| messages::of_flapping(incident, locked.now));
    let others = messages::of_tier(&ids, &existing, &rises, policy.settle, locked.now);
    let candidates: Vec<Candidate> = flapping.chain(others).collect();
    let about: Vec<Uuid> = candidates.iter().map(|c| c.incident).collect();
    let keys = notifications::routing_keys(tx, &about).await?;
    let routed = messages::route(candidates, &policy, &keys);
    let cards = GoingOn::read(tx, locked, &policy, &routed, &keys).await?;
    // A pass without messages needs no windows.
    let windows = match routed.is_empty() {
        true => Vec::new(),
        false => windows::ahead(tx, locked.now).await?,
    };
    let suppressed = |candidate: &Candidate, channel: &str| {
        let Candidate { incident, kind, .. } = *candidate;
        let muted = locked.muted(incident, &windows);
        if muted.is_some() && !locked.breaks_mute(incident, kind) {
            return muted;
        }
        if locked.keeps_back(incident, kind) {
            return Some(Suppression::Flapping);
        }
        let card = cards.card(candidate, channel);
        card.map(Suppression::OnCard)
    };
    let planned = messages::plan(routed, existing, suppressed);
    let written = notifications::write(tx, &planned, locked.now).await?;
    Ok(written.suppressed)
}

/// The cards that the incidents of a pass that open can continue on.
struct GoingOn<'a> {
    locked: &'a LockedAnomalies,
    policy: &'a Policy<'a>,
    keys: &'a HashMap<Uuid, RoutingKey>,
    former: HashMap<Uuid, FormerIncident>,
}

impl<'a> GoingOn<'a> {
    /// Reads the incidents before those that open, where a channel has cards that can be gone on on.
    async fn read(
        tx: &DatabaseTransaction,
        locked: &'a LockedAnomalies,
        policy: &'a Policy<'a>,
        routed: &[(Candidate, Vec<String>)],
        keys: &'a HashMap<Uuid, RoutingKey>,
    ) -> Result<Self, DbErr> {
        let has_cards = |channels: &[String]| channels.iter().any(|c| policy.goes_on_in(c));
        let is_second = |id: Uuid| locked.anomaly(id).is_some_and(|a| a.newest_number > 1);
        let opened = routed.iter().filter(|(candidate, channels)| {
            let Candidate { incident, kind, .. } = *candidate;
            kind == Kind::Opened && has_cards(channels) && is_second(incident)
        });
        let opened: Vec<Uuid> = opened.map(|(candidate, _)| candidate.incident).collect();
        Ok(Self {
            locked,
            policy,
            keys,
            former: cards::former(tx, &opened).await?,
        })
    }

    /// The card in this channel that says what the message would, if it makes no sound. A card that was sent in
    /// quiet hours is not gone on on after them: nobody heard it.
    fn card(&self, candidate: &Candidate, channel: &str) -> Option<CardRef> {
        if candidate.kind != Kind::Opened || !self.policy.goes_on_in(channel) {
            return None;
        }
        let (anomaly, key) = (
            self.locked.anomaly(candidate.incident)?,
            self.keys.get(&candidate.incident)?,
        );
        let former = self.former.get(&candidate.incident)?;
        let (told, now) = (former.told.get(channel)?, self.locked.now);
        let opening = Opening {
            severity: &key.severity,
            level: anomaly.level,
            risen_at: anomaly.risen_at,
            permanent_fix_at: anomaly.permanent_fix_at,
        };
        let is_quiet = |at| self.policy.is_quiet(channel, key, at);
        let was_heard = !is_quiet(told.sent_at) || is_quiet(now);
        let goes_on = again::goes_on(&opening, former, told, self.policy.again, now);
        (goes_on && was_heard).then_some(told.card)
    }
}

impl LockedAnomalies {
    fn anomaly(&self, incident: Uuid) -> Option<&Anomaly> {
        let due = self.due.iter().find(|(id, _)| *id == incident);
        due.and_then(|(_, key)| self.anomalies.get(key))
    }

    /// Whether the incident's anomaly is muted, or in maintenance.
    fn muted(&self, incident: Uuid, windows: &[Window]) -> Option<Suppression> {
        let anomaly = self.anomaly(incident)?;
        if anomaly.mute().holds(self.now) {
            return Some(Suppression::Muted);
        }
        let window = holding(windows, anomaly.names(), self.now);
        window.map(|_| Suppression::Maintenance)
    }

    /// The newest due incident of each anomaly that began to flap in this pass.
    fn begun_to_flap(&self) -> impl Iterator<Item = Uuid> {
        let begun = self.anomalies.values();
        let begun = begun.filter(|anomaly| anomaly.flapping_since == Some(self.now));
        begun.filter_map(|anomaly| {
            let of_key = self.due.iter().filter(|(_, key)| *key == anomaly.key);
            of_key.map(|(id, _)| *id).max()
        })
    }

    /// Whether the message is suppressed, because its anomaly flaps. Where that begins, the message that says so says
    /// what opened, too.
    fn keeps_back(&self, incident: Uuid, kind: Kind) -> bool {
        self.anomaly(incident).is_some_and(|anomaly| {
            let begins = anomaly.flapping_since == Some(self.now);
            let flaps = anomaly.flapping_since.is_some();
            flaps && (flapping::keeps_back(kind, anomaly.level) || (begins && kind == Kind::Opened))
        })
    }

    /// Whether the message is for the present rise, which is sent in spite of the mute.
    fn breaks_mute(&self, incident: Uuid, kind: Kind) -> bool {
        let anomaly = self.anomaly(incident);
        let is_now = anomaly.is_some_and(|anomaly| anomaly.mute_broken_at == Some(self.now));
        kind == Kind::Escalated && is_now
    }
}

/// The rise of an anomaly's level, whose message is about its newest incident that is due.
fn rise(locked: &LockedAnomalies, key: &String) -> Option<Rise> {
    let of_key = locked.due.iter().filter(|(_, k)| k == key);
    let anomaly = locked.anomalies.get(key)?;
    Some(Rise {
        incident: of_key.map(|(id, _)| *id).max()?,
        level: anomaly.level,
        sequence: anomaly.level_seq,
        opened_at: None,
    })
}

/// Notes which of the rises that have just happened break a mute, or a maintenance window: those to `PERMANENT_FIX`,
/// once in each.
pub(super) async fn break_mutes(
    tx: &DatabaseTransaction,
    locked: &mut LockedAnomalies,
    risen: &HashSet<String>,
) -> Result<(), DbErr> {
    let now = locked.now;
    let rises_far =
        |one: &&mut Anomaly| one.level == Level::PermanentFix && risen.contains(&one.key);
    let mut far: Vec<&mut Anomaly> = locked.anomalies.values_mut().filter(rises_far).collect();
    if far.is_empty() {
        return Ok(());
    }
    let windows = windows::ahead(tx, now).await?;
    for anomaly in &mut far {
        let mute = anomaly.mute_with(&windows, now);
        if mute.holds(now) && !mute.is_broken() {
            anomaly.mute_broken_at = Some(now);
        }
    }
    Ok(())
}
