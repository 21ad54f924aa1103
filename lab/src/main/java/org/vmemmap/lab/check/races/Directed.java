// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.List;

/** Follows a schedule, and notes where it could be left behind its last turn. */
final class Directed implements Strategy {
  private final Schedule schedule;
  private final List<Candidate> candidates = new ArrayList<>();

  Directed(Schedule schedule) {
    this.schedule = schedule;
  }

  @Override
  public Turn next(Moment moment) {
    Turn asked = schedule.at(moment.step());
    if (asked != null && moment.ready().contains(asked.cpu())) {
      return asked;
    }
    boolean choice = moment.shared() || moment.cpu() < 0;
    if (choice && moment.step() > schedule.last()) {
      Candidate candidate = Candidate.of(moment);
      if (!candidate.others().isEmpty()) {
        candidates.add(candidate);
      }
    }
    return Strategy.byDefault(moment);
  }

  /** At how many steps something else could have been done. */
  int choices() {
    return candidates.size();
  }

  /** The schedules with one turn more. */
  List<Schedule> children() {
    List<Schedule> children = new ArrayList<>();
    for (Candidate candidate : candidates) {
      for (Turn turn : candidate.others()) {
        children.add(schedule.with(candidate.step(), turn));
      }
    }
    return children;
  }
}
