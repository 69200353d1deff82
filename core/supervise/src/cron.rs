//! The next moment of a schedule, in UTC, by our own arithmetic of dates.

use core::fmt;

use qyv_spec::manifest::Schedule;
use serde::{Deserialize, Serialize};

const MINUTES_A_DAY: u64 = 24 * 60;
/// Days that are looked at: from 29 February 2096 the next is eight years away, as 2100 is no leap year.
const DAYS_MAX: u64 = 8 * 366 + 1;
const EVERY_DAY: u64 = 0xffff_fffe;
const EVERY_WEEKDAY: u64 = 0x7f;

/// Minutes since 1970 of the first moment after minute `after` that `schedule` allows. `None` when there is none, as for
/// 30 February.
///
/// When both the day of the month and the day of the week are restricted, either is enough, as in every cron.
pub(crate) fn next_minute(schedule: &Schedule, after: u64) -> Option<u64> {
    let [minutes, hours, days, months, weekdays] = schedule.fields();
    let has = |bits: u64, value: u64| bits.checked_shr(u32::try_from(value).ok()?).map(|bits| bits & 1 == 1);
    let first = after.checked_add(1)?;
    let today = first / MINUTES_A_DAY;
    for day in today..today.checked_add(DAYS_MAX)? {
        let date = Date::of(day);
        let in_month = has(days, date.day)?;
        // 1 January 1970 was a Thursday.
        let in_week = has(weekdays, (day + 4) % 7)?;
        let either = days != EVERY_DAY && weekdays != EVERY_WEEKDAY;
        let allowed = if either { in_month || in_week } else { in_month && in_week };
        if !allowed || !has(months, date.month)? {
            continue;
        }
        let from = if day == today { first % MINUTES_A_DAY } else { 0 };
        let found = (from..MINUTES_A_DAY)
            .find(|minute| has(hours, minute / 60) == Some(true) && has(minutes, minute % 60) == Some(true));
        if let Some(minute) = found {
            return day.checked_mul(MINUTES_A_DAY)?.checked_add(minute);
        }
    }
    None
}

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Date {
    year: u64,
    month: u64,
    day: u64,
}

impl Date {
    /// The date so many days after 1 January 1970.
    ///
    /// Counted in years that begin in March, the leap day is the last of its year, and the lengths of the months repeat
    /// every five months of 153 days.
    fn of(days: u64) -> Self {
        const DAYS_400_YEARS: u64 = 146_097;
        // 1 March 0000 is 719,468 days before 1970.
        let days = days.saturating_add(719_468);
        let (era, day) = (days / DAYS_400_YEARS, days % DAYS_400_YEARS);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let from_march = (5 * day + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Self {
            year: era * 400 + year + u64::from(month <= 2),
            month,
            day: day - (153 * from_march + 2) / 5 + 1,
        }
    }
}

/// A minute since 1970, as people write it: `2026-11-22 20:40 UTC`.
pub(crate) struct Minute(pub(crate) u64);

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date { year, month, day } = Date::of(self.0 / MINUTES_A_DAY);
        let minute = self.0 % MINUTES_A_DAY;
        write!(f, "{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60)
    }
}

/// Most minutes that a clock is set back and the schedule waits until it is where it was, so that nothing runs twice:
/// those of Vixie's cron, more than any change of summer time. Beyond it the clock was wrong before.
const BACK_MAX: u64 = 180;

/// When the next run of an app is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timer {
    /// Minutes up to this one have been looked at.
    seen: u64,
    /// The minute of the last run.
    last: Option<u64>,
    /// The first minute after `seen` that the schedule allows.
    next: Option<u64>,
}

impl Timer {
    pub(crate) fn new(schedule: &Schedule, wall: u64) -> Self {
        let seen = wall / 60;
        Self { seen, last: None, next: next_minute(schedule, seen) }
    }

    /// Whether a run is due. However many were due since the last call, it is one; and never two for one minute.
    pub(crate) fn due(&mut self, schedule: &Schedule, wall: u64) -> bool {
        let minute = wall / 60;
        if minute.saturating_add(BACK_MAX) < self.seen {
            *self = Self { last: self.last, ..Self::new(schedule, wall) };
        }
        if self.next.is_none_or(|next| next > minute) {
            return false;
        }
        let again = self.last == Some(minute);
        *self = Self { seen: minute, last: Some(minute), next: next_minute(schedule, minute) };
        !again
    }

    /// Nanoseconds until the next run, at most a minute, so that a clock that is set is noticed.
    pub(crate) fn pause_ns(&self, wall: u64) -> Option<u64> {
        let seconds = self.next?.saturating_mul(60).saturating_sub(wall);
        Some(seconds.clamp(1, 60).saturating_mul(1_000_000_000))
    }

    pub(crate) fn next(&self) -> Option<u64> {
        self.next
    }

    /// Takes over the last run of the timer before, so that a deploy does not repeat it.
    pub(crate) fn after(self, before: Option<Self>) -> Self {
        Self { last: before.and_then(|timer| timer.last), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};

    /// Counts days one by one, with the rules that everybody knows.
    #[test]
    fn dates_are_those_of_counting() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..400 * 366 {
            assert_eq!(Date::of(days), Date { year, month, day });
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
    }

    fn minute(text: &str) -> u64 {
        (0..200 * 366)
            .map(|day| day * MINUTES_A_DAY)
            .find(|minute| Minute(*minute).to_string()[..10] == text[..10])
            .map(|start| {
                start + text[11..13].parse::<u64>().unwrap() * 60 + text[14..16].parse::<u64>().unwrap()
            })
            .unwrap()
    }

    #[track_caller]
    fn next(schedule: &str, after: &str, expected: &str) {
        let found = next_minute(&schedule.parse().unwrap(), minute(after));
        assert_eq!(
            found.map_or_else(String::new, |minute| Minute(minute).to_string()[..16].to_string()),
            expected
        );
    }

    #[test]
    fn the_next_moment_is_the_first_that_all_fields_allow() {
        next("* * * * *", "2026-11-22 20:40", "2026-11-22 20:41");
        next("*/15 * * * *", "2026-11-22 20:45", "2026-11-22 21:00");
        next("0 3 * * *", "2026-12-31 03:00", "2027-01-01 03:00");
        next("30 4 1 1 *", "2026-01-01 04:30", "2027-01-01 04:30");
        next("0 0 31 * *", "2026-04-01 00:00", "2026-05-31 00:00");
        next("0 12 * * 0", "2026-11-22 12:00", "2026-11-29 12:00");
    }

    #[test]
    fn leap_days_come_when_they_come() {
        next("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00");
        next("0 0 29 2 *", "2096-02-29 00:00", "2104-02-29 00:00");
        next("0 0 30 2 *", "2026-01-01 00:00", "");
    }

    #[test]
    fn of_two_restricted_days_either_is_enough() {
        // The 13th, or any Friday.
        next("0 0 13 * 5", "2026-11-08 00:00", "2026-11-13 00:00");
        next("0 0 13 * 5", "2026-11-13 00:00", "2026-11-20 00:00");
        next("0 0 13 * 5", "2026-12-11 00:00", "2026-12-13 00:00");
        // Only one of them restricted: that one decides.
        next("0 0 * * 5", "2026-11-13 00:00", "2026-11-20 00:00");
        next("0 0 13 * *", "2026-11-13 00:00", "2026-12-13 00:00");
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        let schedule: Schedule = "* * * * *".parse().unwrap();
        for after in [u64::MAX, u64::MAX - 1, u64::MAX / MINUTES_A_DAY] {
            let _ = next_minute(&schedule, after);
        }
    }

    #[test]
    fn a_clock_that_jumps_makes_one_run_and_never_two_of_a_minute() {
        let schedule: Schedule = "*/10 * * * *".parse().unwrap();
        let at = |text: &str| minute(text) * 60;
        let mut timer = Timer::new(&schedule, at("2026-11-22 20:40"));
        let mut due = |text: &str| timer.due(&schedule, at(text));
        // Deployed within a minute that is allowed: that one has begun already.
        assert!(!due("2026-11-22 20:40"));
        assert!(due("2026-11-22 20:50"));
        assert!(!due("2026-11-22 20:50"));
        // Forward: once.
        assert!(due("2026-11-23 09:05"));
        assert!(!due("2026-11-23 09:06"));
        assert!(due("2026-11-23 09:10"));
        // Back a little: not again what was.
        assert!(!due("2026-11-23 08:00"));
        assert!(!due("2026-11-23 09:10"));
        assert!(due("2026-11-23 09:20"));
        // Back a lot: the clock was wrong, and yet no minute twice.
        assert!(!due("2026-11-20 00:01"));
        assert!(due("2026-11-20 00:10"));
    }

    #[test]
    fn a_deploy_or_a_wrong_clock_does_not_repeat_the_minute_of_the_last_run() {
        let schedule: Schedule = "* * * * *".parse().unwrap();
        let mut timer = Timer::new(&schedule, 59);
        assert!(timer.due(&schedule, 60));
        let mut again = Timer::new(&schedule, 0).after(Some(timer));
        assert!(!again.due(&schedule, 60));
        assert!(again.due(&schedule, 120));
    }
}
