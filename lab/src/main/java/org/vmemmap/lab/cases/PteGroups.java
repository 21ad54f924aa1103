// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.observe.RangePtes.Run;
import org.vmemmap.machine.PageTableFormat;

/**
 * Arranges runs of memmap pages as a case file writes them: one group after the other, or a pattern
 * of some groups with the number of times that it repeats.
 *
 * <pre>
 *   runs      own 1 | shared 7 | own 1 | shared 7 | ...        2n runs
 *   pattern   repeat n of [own 1, shared 7]
 * </pre>
 *
 * How many groups a pattern has is taken from the case file. What they are and how often they come
 * is counted here: as often as the next runs equal the first ones.
 */
final class PteGroups {
  private final PageTableFormat format;

  PteGroups(PageTableFormat format) {
    this.format = format;
  }

  /** The groups for {@code runs}, in the arrangement of {@code asked}. */
  List<Object> arrange(List<Run> runs, List<JsonNode> asked) {
    List<Object> groups = new ArrayList<>();
    int at = 0;
    for (JsonNode one : asked) {
      if (at >= runs.size()) {
        break;
      }
      int pattern = pattern(one);
      if (pattern == 0) {
        Map<String, Object> group = new LinkedHashMap<>(group(runs.get(at)));
        group.put("vpage", runs.get(at).vpage());
        groups.add(group);
        at++;
      } else {
        int end = Math.min(at + pattern, runs.size());
        int repeat = repeats(runs, at, end - at);
        groups.add(repeated(runs.subList(at, end), repeat));
        at += repeat * (end - at);
      }
    }
    for (; at < runs.size(); at++) {
      groups.add(group(runs.get(at)));
    }
    return groups;
  }

  private static int pattern(JsonNode asked) {
    JsonNode each = ((JsonNode.Obj) asked).members().get("each");
    return each instanceof JsonNode.Arr list ? list.items().size() : 0;
  }

  /** How often the {@code length} runs from {@code at} on come, one time after the other. */
  private static int repeats(List<Run> runs, int at, int length) {
    int repeat = 1;
    while (at + (repeat + 1) * length <= runs.size()) {
      for (int i = 0; i < length; i++) {
        if (!alike(runs.get(at + i), runs.get(at + repeat * length + i))) {
          return repeat;
        }
      }
      repeat++;
    }
    return repeat;
  }

  private static boolean alike(Run a, Run b) {
    return a.n() == b.n()
        && a.level() == b.level()
        && a.flags() == b.flags()
        && a.shared() == b.shared()
        && a.inside() == b.inside()
        && Objects.equals(a.tail(), b.tail());
  }

  private Map<String, Object> repeated(List<Run> pattern, int repeat) {
    List<Object> each = new ArrayList<>();
    long pages = 0;
    for (Run run : pattern) {
      each.add(group(run));
      pages += run.n();
    }
    Map<String, Object> group = new LinkedHashMap<>();
    group.put("vpage", pattern.getFirst().vpage());
    group.put("n", pages * repeat);
    group.put("repeat", repeat);
    group.put("each", each);
    return group;
  }

  private Map<String, Object> group(Run run) {
    Map<String, Object> group = new LinkedHashMap<>();
    group.put("n", run.n());
    if (run.level() < 0) {
      group.put("level", "none");
      return group;
    }
    group.put("level", format.levelName(run.level()));
    if (!ActualState.HPTE.equals(group.get("level"))) {
      group.put("flags", WordForm.hex(run.flags()));
    }
    group.put("frame", run.shared() ? "shared" : "own");
    if (run.level() > 0 || ActualState.HPTE.equals(group.get("level"))) {
      group.put("leaves", run.leaves());
    }
    if (run.inside()) {
      group.put("firstPfn", run.firstFrame());
      group.put("step", run.step());
    }
    @Nullable Object tail = run.tail() == null ? null : run.tail().name();
    if (tail != null) {
      group.put("tail", tail);
    }
    return group;
  }
}
