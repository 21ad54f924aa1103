// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check.races;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.machine.StoreBuffers.Drain;

/**
 * Where a run leaves the default, which is to let the CPU that runs go on until it waits or ends, and
 * then the next by number.
 *
 * <pre>
 *   0:1,57:0,61:1n    CPU 1 begins; before step 57 CPU 0 gets the machine, before step 61 CPU 1, and
 *                     no store that CPU 0 has in its buffer is seen (w: only the newest is)
 * </pre>
 *
 * @param turns by step
 */
record Schedule(SortedMap<Integer, Turn> turns) {
  private static final String NONE = "n";
  private static final String NEWEST = "w";

  Schedule {
    turns = Collections.unmodifiableSortedMap(new TreeMap<>(turns));
  }

  /** CPU {@code cpu} begins, and everything else is as by default. */
  static Schedule startingWith(int cpu) {
    return new Schedule(new TreeMap<>()).with(0, Turn.to(cpu));
  }

  /** The same with one turn more. */
  Schedule with(int step, Turn turn) {
    SortedMap<Integer, Turn> more = new TreeMap<>(turns);
    more.put(step, turn);
    return new Schedule(more);
  }

  /** What was asked for at {@code step}; null for the default. */
  @Nullable Turn at(int step) {
    return turns.get(step);
  }

  int last() {
    return turns.isEmpty() ? -1 : turns.lastKey();
  }

  /** Reads what {@link #text} writes. @throws BadInput for anything else */
  static Schedule parse(String text) {
    SortedMap<Integer, Turn> turns = new TreeMap<>();
    for (String part : text.split(",", -1)) {
      if (!part.matches("[0-9]{1,8}:[0-9]{1,3}[nw]?")) {
        throw new BadInput("--schedule " + text + ": wanted STEP:CPU,... as in 0:1,57:0");
      }
      String[] fields = part.split(":", -1);
      String cpu = fields[1].replaceAll("[nw]", "");
      turns.put(Integer.valueOf(fields[0]), new Turn(Integer.parseInt(cpu), drain(part)));
    }
    return new Schedule(turns);
  }

  private static Drain drain(String part) {
    return part.endsWith(NONE) ? Drain.NONE : part.endsWith(NEWEST) ? Drain.NEWEST : Drain.ALL;
  }

  /** As on the command line. */
  String text() {
    List<String> parts = new ArrayList<>();
    turns.forEach((step, turn) -> parts.add(step + ":" + turn.cpu() + letter(turn.drain())));
    return String.join(",", parts);
  }

  private static String letter(Drain drain) {
    return switch (drain) {
      case ALL -> "";
      case NEWEST -> NEWEST;
      case NONE -> NONE;
    };
  }
}
