//! What people read, in each language: one file per language, and a text that one of them lacks
//! does not compile.
//!
//! A text may have named places (`{n}`), which [`fill`] fills in, and a form for one and a form for
//! more, with `|` between them, of which [`plural`] takes the one that fits.

mod en;
mod reason;
mod zh_tw;

use std::time::Duration;

pub use en::EN;
pub use reason::{Reason, TierReason};
pub use zh_tw::ZH_TW;

/// Declares the texts that every language has.
macro_rules! texts {
    ($($name:ident)*) => {
        /// The texts of one language.
        #[derive(Debug)]
        pub struct Text {
            $( #[doc = concat!("`", stringify!($name), "`")] pub $name: &'static str, )*
        }

        impl Text {
            /// Every text with its name.
            #[must_use]
            pub fn entries(&self) -> Vec<(&'static str, &'static str)> {
                vec![$( (stringify!($name), self.$name), )*]
            }
        }
    };
}

texts! {
    skip
    sections
    incidents
    anomalies
    repairs
    queues
    dead_letters
    system
    sign_out
    signed_in_as
    role_read
    role_operate
    role_anyone
    live
    live_off
    live_wait
    no_script
    reload
    language
    keys
    keys_list
    utc
    sign_in
    sign_in_lead
    token
    your_name
    your_name_hint
    optional
    token_wrong
    too_many
    signed_out
    not_found
    not_found_lead
    not_allowed
    not_allowed_lead
    forged
    forged_lead
    not_done
    unavailable
    unavailable_lead
    broken
    broken_lead
    bad_request
    back_to_incidents
    level
    level_none
    level_repeat
    level_escalate
    level_permanent_fix
    status
    status_open
    status_analyzing
    status_acknowledged
    status_resolved
    tier
    tier_n
    tier_1
    tier_2
    tier_3
    tier_4
    tier_unknown
    severity
    service
    namespace
    error_type
    window_1h
    window_24h
    window_7d
    window_30d
    in_1h
    in_24h
    in_7d
    in_30d
    unresolved
    all_states
    all_levels
    search
    search_hint
    sort
    sort_level
    sort_newest
    sort_oldest
    sort_often
    sort_fired
    apply
    clear
    filter_more
    filter
    unresolved_now
    new_incidents
    show_new
    nothing_here
    nothing_here_lead
    all_quiet
    all_quiet_lead
    first_steps
    first_steps_lead
    more
    more_next
    first_page
    aggregated
    still_firing
    ago
    opened_ago
    last_24h_chart
    incident_no
    why
    why_level
    why_tier
    reason_count
    reason_lasts
    reason_none
    reason_other
    tier_why_level
    tier_why_fix
    tier_why_restarts
    tier_why_nothing
    tier_why_unknown
    tier_next
    tier_do_1
    tier_do_2
    tier_do_3
    tier_do_4
    frequency
    facts
    labels
    annotations
    source
    anomaly
    opened
    last_fired
    resolved_at
    resolved_itself
    by_person
    by_somebody
    acknowledged_at
    reopened_times
    actions
    acknowledge
    resolve
    record_repair
    repair_action
    repair_success
    repair_failed
    repair_outcome
    repair_note
    mark_fix
    fix_reference
    fix_hint
    take_back_fix
    fixed_at
    open_alertmanager
    open_generator
    open_runbook
    timeline
    timeline_cut
    occurrences
    other_incidents
    no_others
    heat_map
    heat_map_says
    heat_map_days
    heat_map_scale
    started
    ended
    first_received
    last_received
    deliveries
    series
    day
    count
    done_acknowledge
    done_resolve
    done_repair
    done_fix
    done_unfix
    done_pause
    done_resume
    done_replay
    done_discard
    done_edit
    ev_opened
    ev_firing
    ev_ended
    ev_resent
    ev_repair_ok
    ev_repair_failed
    ev_message
    ev_acknowledged
    ev_resolved
    ev_fix
    ev_deed
    kind_opened
    kind_escalated
    kind_reopened
    kind_resolved
    kind_repeated
    kind_digest
    digest_incidents
    digest_lead
    digest_worst
    digest_times
    digest_rest
    digest_goes_on
    digest_over
    digest_none
    digest_page
    state_owed
    state_sending
    state_sent
    state_given_up
    state_digested
    state_muted
    offenders
    offenders_lead
    window
    trend
    before
    trend_new
    trend_up
    trend_down
    trend_same
    worth_fixing
    worth_fixing_lead
    worth_why_count
    worth_why_failed
    worth_why_fix
    no_offenders
    no_worth_fixing
    total
    first_seen
    last_seen
    anomaly_incidents
    what_was_tried
    repairs_lead
    by_action
    action
    attempts
    successes
    success_rate
    last_time
    newest_repairs
    operator
    took
    note
    outcome
    helped
    helped_not
    no_repairs
    no_repairs_lead
    when
    incident
    queues_lead
    queue
    ready
    delayed
    in_flight
    oldest
    workers
    dead
    paused
    running
    pause
    resume
    depth_chart
    depth_chart_says
    depth_since
    no_workers
    no_workers_lead
    processes
    host
    works_on
    slots
    done_per_second
    running_since
    heartbeat
    silent
    mixed_versions
    dead_lead
    no_dead
    no_dead_lead
    reason
    died
    replay
    discard
    edit
    payload
    errors
    letter_dead
    letter_replayed
    letter_discarded
    job
    enqueued
    trace
    decided
    all_queues
    payload_binary
    connected
    part
    answer_time
    version
    store
    queue_store
    counter
    channel
    fine
    no_answer
    warnings
    no_warnings
    warn_aof
    warn_evict
    warn_fsync
    warn_log_only
    warn_full
    accounting
    accounting_lead
    figure
    value
    acc_accepted
    acc_rejected
    acc_buried
    acc_truncated
    acc_new
    acc_resent
    acc_ignored
    acc_books
    acc_occurrences
    acc_incidents
    acc_anomalies
    acc_counted
    metrics
    metrics_lead
    settings
    database
    acc_queued
    acc_dead
    mute
    mute_for
    mute_30m
    mute_1h
    mute_4h
    mute_24h
    mute_own
    mute_why
    mute_hint
    unmute
    muted
    muted_until
    done_mute
    done_unmute
    ev_muted
    ev_unmuted
    state_muted
    btn_mute
    btn_repaired
    btn_helped
    btn_helped_not
    btn_back
    pressed_acknowledged
    pressed_resolved
    pressed_already
    pressed_too_late
    pressed_muted
    pressed_unmuted
    pressed_helped
    pressed_helped_not
    pressed_stranger
    pressed_unknown
    pressed_gone
}

/// A language that people can choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// English.
    #[default]
    English,
    /// Traditional Chinese, as it is written in Taiwan.
    Chinese,
}

impl Lang {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::English, Self::Chinese];

    /// As HTML and HTTP write it.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-TW",
        }
    }

    /// Its own name for itself.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "中文",
        }
    }

    /// The language with this tag, or with another of the same tongue.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        let tongue = tag.trim().split(['-', '_']).next().unwrap_or_default();
        match tongue.to_ascii_lowercase().as_str() {
            "en" => Some(Self::English),
            "zh" => Some(Self::Chinese),
            _ => None,
        }
    }

    /// The one of ours that `Accept-Language` likes best.
    #[must_use]
    pub fn accepted(header: &str) -> Option<Self> {
        let weighed = header.split(',').filter_map(|entry| {
            let mut parts = entry.split(';');
            let lang = Self::from_tag(parts.next()?)?;
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok());
            Some((lang, weight.unwrap_or(1.0_f32)))
        });
        // Of equal ones the first.
        weighed
            .filter(|(_, weight)| *weight > 0.0)
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
            .map(|(lang, _)| lang)
    }

    /// Its texts.
    #[must_use]
    pub fn text(self) -> &'static Text {
        match self {
            Self::English => &EN,
            Self::Chinese => &ZH_TW,
        }
    }

    /// A duration in its largest unit that it is at least one of: `3 min`, `2 h`, `5 d`.
    #[must_use]
    pub fn age(self, age: Duration) -> String {
        let seconds = age.as_secs();
        let (n, at) = match seconds {
            0..60 => (seconds, 0),
            60..3600 => (seconds / 60, 1),
            3600..172_800 => (seconds / 3600, 2),
            _ => (seconds / 86_400, 3),
        };
        let units = match self {
            Self::English => ["s", "min", "h", "d"],
            Self::Chinese => ["秒", "分鐘", "小時", "天"],
        };
        format!("{n} {}", units[at])
    }
}

/// Fills in the named places of a text.
#[must_use]
pub fn fill(text: &str, places: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        filled.push_str(before);
        let value = places.iter().find(|(place, _)| *place == name);
        filled.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The form of a text that fits `n`, with `{n}` filled in.
#[must_use]
pub fn plural(text: &str, n: i64) -> String {
    let form = match text.split_once('|') {
        Some((one, _)) if n == 1 => one,
        Some((_, more)) => more,
        None => text,
    };
    fill(form, &[("n", &n.to_string())])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn places(text: &str) -> BTreeSet<&str> {
        let opened = text.split('{').skip(1);
        opened.filter_map(|rest| rest.split('}').next()).collect()
    }

    #[test]
    fn no_text_is_missing_in_any_language_and_all_have_the_same_places() {
        for lang in Lang::ALL {
            for ((name, english), (_, text)) in EN.entries().into_iter().zip(lang.text().entries())
            {
                assert!(!text.trim().is_empty(), "{name} is missing in {lang:?}");
                assert_eq!(places(english), places(text), "{name} in {lang:?}");
            }
        }
    }

    #[test]
    fn chinese_is_not_english() {
        let same = |name: &str| ["utc", "reason_other", "ev_deed"].contains(&name);
        for ((name, english), (_, chinese)) in EN.entries().into_iter().zip(ZH_TW.entries()) {
            assert!(english != chinese || same(name), "{name} is not translated");
        }
    }

    #[test]
    fn the_browser_s_best_liked_language_is_chosen() {
        let table = [
            ("zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", Some(Lang::Chinese)),
            ("de-DE,de;q=0.9,en;q=0.5", Some(Lang::English)),
            ("en;q=0.4,zh-HK;q=0.6", Some(Lang::Chinese)),
            ("zh;q=0,en", Some(Lang::English)),
            ("fr", None),
            ("", None),
        ];
        for (header, expected) in table {
            assert_eq!(Lang::accepted(header), expected, "{header}");
        }
    }

    #[test]
    fn places_and_plurals_are_filled_in() {
        assert_eq!(fill("{a} of {b}", &[("a", "1"), ("b", "{a}")]), "1 of {a}");
        assert_eq!(fill("50 {", &[]), "50 {");
        assert_eq!(plural("1 new|{n} new", 1), "1 new");
        assert_eq!(plural("1 new|{n} new", 0), "0 new");
        assert_eq!(plural("{n} 件", 1), "1 件");
    }
}
