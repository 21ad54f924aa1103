// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import org.vmemmap.lab.series.Catalogue;

/**
 * A rule that a run broke, and all that is needed to look at it again.
 *
 * @param rule its name
 * @param step what was being done
 * @param detail frame or pfn, and what was found
 * @param function the kernel function that ran when the rule was broken, or the last that changed
 *     what was found at rest, with its file
 * @param site the kernel functions whose allocation failed; empty for none
 * @param trace the last shared steps
 * @param finding title in docs/FINDINGS.md, or the patch of the series, when the kernel is known to
 *     do so; empty otherwise
 * @param replay the command that runs it again
 */
public record Deviation(
    String rule, String step, String detail, String function, String site, List<String> trace,
    String finding, String replay) {
  /** One that no finding is looked up for. */
  public Deviation(
      String rule, String step, String detail, String function, List<String> trace, String replay) {
    this(rule, step, detail, function, "", trace, "", replay);
  }

  /** Copies the trace. */
  public Deviation {
    trace = List.copyOf(trace);
  }

  /** Equal for deviations that a report shows once. */
  String kind() {
    return String.join("\n", rule, step, site, finding);
  }

  /** True for what the kernel is known to do. */
  public boolean known() {
    return !finding.isEmpty();
  }

  /** The report. */
  public String text() {
    Rule broken = RuleBook.of(rule);
    StringBuilder text = new StringBuilder();
    text.append("rule      ").append(rule).append(": ").append(broken.statement()).append('\n');
    text.append("step      ").append(step).append('\n');
    text.append("found     ").append(detail).append('\n');
    text.append("function  ").append(function).append('\n');
    if (!site.isEmpty()) {
      text.append("failed    ").append(site).append('\n');
    }
    for (int i = 0; i < trace.size(); i++) {
      text.append(i == 0 ? "trace     " : "          ").append(trace.get(i)).append('\n');
    }
    if (known()) {
      String where = finding.startsWith(Catalogue.PATCH) ? "docs/series" : "docs/FINDINGS.md";
      text.append("known     ").append(finding).append(" (").append(where).append(")\n");
    }
    return text.append("replay    ").append(replay).append('\n').toString();
  }
}
