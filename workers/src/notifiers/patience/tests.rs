//! Receivers that ask to wait, or are broken, and when they are tried again.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn of_two() -> Arc<Receiver> {
    Arc::new(Receiver::new(10 * SECOND, 2))
}

/// How long a message must wait, if it must; one that need not is done at once.
fn waits(patience: &CircuitBreaker, now: Instant) -> Option<Duration> {
    patience.take(now).err()
}

#[test]
fn retry_after_pauses_only_its_channel() {
    let (receiver, start) = (of_two(), Instant::now());
    let (patience, other) = (
        CircuitBreaker::with(Arc::clone(&receiver)),
        CircuitBreaker::with(receiver),
    );
    assert_eq!(waits(&patience, start), None);
    patience.wait(start, 7 * SECOND);
    patience.wait(start + SECOND, 2 * SECOND);
    patience.answered();
    assert_eq!(waits(&patience, start + 3 * SECOND), Some(4 * SECOND));
    assert_eq!(waits(&other, start + 3 * SECOND), None);
    assert_eq!(waits(&patience, start + 7 * SECOND), None);
    assert_eq!(waits(&patience, start + 7 * SECOND), None);
}

#[test]
fn no_more_than_its_places_are_on_their_way_to_a_receiver() -> Result<(), Duration> {
    let (receiver, start) = (of_two(), Instant::now());
    let (one, other) = (
        CircuitBreaker::with(Arc::clone(&receiver)),
        CircuitBreaker::with(receiver),
    );
    let (first, second) = (one.take(start)?, other.take(start)?);
    assert_eq!(waits(&one, start), Some(BUSY));
    assert_eq!(other.left_alone(start), Some(BUSY));
    drop(first);
    assert_eq!(one.left_alone(start), None, "to ask takes no place");
    assert_eq!(waits(&one, start), None);
    let third = other.take(start)?;
    assert_eq!(waits(&one, start), Some(BUSY));
    drop((second, third));
    Ok(())
}

#[test]
fn a_silent_one_is_tried_by_one_message_at_a_time() -> Result<(), Duration> {
    let (patience, start) = (CircuitBreaker::with(of_two()), Instant::now());
    patience.unanswered(start);
    assert_eq!(waits(&patience, start), Some(10 * SECOND));
    let later = start + 10 * SECOND;
    let probe = patience.take(later)?;
    assert_eq!(waits(&patience, later + SECOND), Some(10 * SECOND + APART));
    drop(probe);
    // It was not sent after all, so the next one finds it out.
    assert_eq!(waits(&patience, later + SECOND), None);
    patience.answered();
    let (one, two) = (patience.take(later)?, patience.take(later)?);
    drop((one, two));
    Ok(())
}

#[test]
fn one_that_many_in_a_row_could_not_be_brought_to_is_silent() -> Result<(), Duration> {
    let (patience, start) = (CircuitBreaker::with(of_two()), Instant::now());
    let breaks = |times| (0..times).for_each(|_| patience.broken(start));
    breaks(BROKEN - 1);
    assert_eq!(waits(&patience, start), None);
    patience.answered();
    breaks(BROKEN - 1);
    assert_eq!(waits(&patience, start), None);
    breaks(1);
    assert_eq!(waits(&patience, start), Some(BREATH));
    let probe = patience.take(start + BREATH)?;
    assert_eq!(waits(&patience, start + BREATH), Some(10 * SECOND + APART));
    patience.answered();
    assert_eq!(waits(&patience, start + BREATH), None);
    drop(probe);
    Ok(())
}

#[test]
fn one_that_fails_and_hangs_by_turns_is_tried_by_one_message_at_a_time() -> Result<(), Duration> {
    let (patience, start) = (CircuitBreaker::with(of_two()), Instant::now());
    patience.unanswered(start);
    let mut now = start + 10 * SECOND;
    for _ in 0..3 {
        let probe = patience.take(now)?;
        patience.broken(now);
        drop(probe);
        assert!(waits(&patience, now) >= Some(BREATH), "it failed");
        now += BREATH;
        let probe = patience.take(now)?;
        assert!(waits(&patience, now).is_some(), "one at a time");
        patience.unanswered(now);
        drop(probe);
        assert!(waits(&patience, now) >= Some(10 * SECOND), "it hung");
        now += 10 * SECOND;
    }
    patience.answered();
    let (one, two) = (patience.take(now)?, patience.take(now)?);
    drop((one, two));
    Ok(())
}

#[test]
fn messages_for_an_unresponsive_receiver_retry_one_at_a_time() {
    let (patience, start) = (CircuitBreaker::with(of_two()), Instant::now());
    patience.unanswered(start);
    let waits: Vec<_> = (0..3).map(|_| waits(&patience, start)).collect();
    let wait = |n: u32| Some(10 * SECOND + n * APART);
    assert_eq!(waits, [wait(0), wait(1), wait(2)]);
    let longest = (0..30_000).filter_map(|_| patience.left_alone(start)).max();
    assert_eq!(longest, Some(LONGEST));
    patience.answered();
    assert_eq!(patience.left_alone(start), None);
}
