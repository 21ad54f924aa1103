// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.util.List;
import org.vmemmap.lab.series.Catalogue;

/** The steps of the series underneath, as {@code vmemmap series} prints them. */
final class UnderneathText {
  private UnderneathText() {}

  /** The list, under its heading. */
  static String list() {
    StringBuilder text = new StringBuilder();
    text.append("\nunderneath: mm: Eliminate fake head pages from vmemmap optimization\n");
    for (Catalogue.Step step : Catalogue.underneath()) {
      text.append("%2d   %s\n".formatted(step.number(), step.subject()));
    }
    return text.append("'series show underneath N' tells what each left in the port\n").toString();
  }

  /** One step. */
  static String show(Catalogue.Step step) {
    return "%d  %s\nkind        %s\nleft        %s\njava        %s\nevidence    %s\n"
        .formatted(
            step.number(),
            step.subject(),
            step.kind(),
            step.left(),
            rows(step.java()),
            rows(step.evidence()));
  }

  private static String rows(List<String> rows) {
    return String.join("\n%12s".formatted(""), rows);
  }
}
