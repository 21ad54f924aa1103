// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.check.races.RaceCheck;
import org.vmemmap.types.Series;

/**
 * Runs a check up to the first report. What it is given and what it returns are of the JDK, so that
 * it can be called from outside of the class loader that has loaded it.
 *
 * <pre>
 *   sweep SCENARIO WORLD LEVEL      check sweep: each allocation fails, and all from it on
 *   sweep ... SITE                  the same from the SITE-th allocation on
 *   random SEED WORLD LEVEL         check random, from that seed on
 *   races NAME                      check races, within the scenario's bound
 *   ... first RUNS                  up to that run; runs are counted as if all had been done
 * </pre>
 *
 * Returns the rule that is broken, nothing for none; the number of runs up to there; the report.
 */
public final class HistoryRun implements Function<String, List<String>> {
  private static final Pattern SCHEDULES = Pattern.compile(", ([0-9]+) schedules");
  private static final String FIRST = " first ";
  private static final int STEPS = 8;

  private long runs;
  private long most = Long.MAX_VALUE;

  @Override
  public List<String> apply(String check) {
    int first = check.indexOf(FIRST);
    most = first < 0 ? most : Long.parseLong(check.substring(first + FIRST.length()));
    String[] words = check.substring(0, first < 0 ? check.length() : first).split(" ", -1);
    Deviation found =
        switch (words[0]) {
          case "sweep" -> sweep(words);
          case "races" -> races(words);
          case "random" -> random(words);
          default -> throw new IllegalArgumentException(check + ": wanted sweep, races or random");
        };
    return found == null
        ? List.of("", Long.toString(runs), "")
        : List.of(found.rule(), Long.toString(runs), found.text());
  }

  private static boolean isNew(@Nullable Deviation deviation) {
    return deviation != null && !deviation.known();
  }

  private @Nullable Deviation sweep(String[] words) {
    Scenario scenario =
        Scenario.standard(words[1], List.of(World.of(words[2])))
            .getFirst()
            .at(Series.named(words[3]));
    String replay =
        "vmemmap check sweep %s --world %s --at %s".formatted(words[1], words[2], words[3]);
    Runs all = new Runs(scenario, replay, (site, selection) -> {});
    runs++;
    Deviation clean = all.clean().deviation();
    if (clean != null) {
      return clean.known() ? null : clean;
    }
    int steps = all.clean().sites().size();
    int first = words.length > 4 ? Integer.parseInt(words[4]) : 1;
    runs += 2L * (first - 1);
    for (int n = first; n <= steps; n++) {
      for (Selection failing : List.of(Selection.only(n), Selection.from(n))) {
        if (runs++ == most) {
          runs = most;
          return null;
        }
        Deviation found = all.run(failing, replay + " --fail " + failing.option()).deviation();
        if (isNew(found)) {
          return found;
        }
      }
    }
    return null;
  }

  private @Nullable Deviation races(String[] words) {
    Integer limit = most == Long.MAX_VALUE ? null : Integer.valueOf((int) most);
    RaceCheck check =
        new RaceCheck(new RaceCheck.Options(false, null, null, limit, null, List.of(), false));
    check.run(words[1], line -> {});
    Matcher schedules = SCHEDULES.matcher(check.text());
    runs += schedules.find() ? Long.parseLong(schedules.group(1)) : 0;
    return check.asWanted() ? null : check.deviations().getFirst();
  }

  /** From power-on each time, and as drawn: nothing is made smaller. */
  private @Nullable Deviation random(String[] words) {
    RandomWorlds worlds = new RandomWorlds(World.list(words[2]), Series.named(words[3]), STEPS);
    long seed = Long.parseLong(words[1]);
    for (runs = seed - 1; runs < most; seed++) {
      runs++;
      Deviation found =
          Trial.run(worlds.scenario(seed), worlds.replay(seed), machine -> {}).deviation();
      if (isNew(found)) {
        return found;
      }
    }
    return null;
  }
}
