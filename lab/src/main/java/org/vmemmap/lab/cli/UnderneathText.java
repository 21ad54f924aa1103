// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import java.util.List;
import org.vmemmap.lab.report.Json;
import org.vmemmap.lab.series.Catalogue;
import org.vmemmap.types.Series;

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
    text.append("'series show underneath N' tells what each left in the port; --at 49+FORM turns on a");
    text.append(" form that was\nposted and not merged: ").append(String.join(", ", Series.FORMS));
    return text.append('\n').toString();
  }

  /** The steps as a list of {@code json}. */
  static Json json(Json json) {
    json.list("underneath");
    for (Catalogue.Step step : Catalogue.underneath()) {
      json.object()
          .put("number", step.number())
          .put("subject", step.subject())
          .put("kind", step.kind())
          .put("left", step.left());
      SeriesCommand.texts(json, "java", step.java());
      SeriesCommand.texts(json, "evidence", step.evidence()).endObject();
    }
    return json.endList();
  }

  /** One step. */
  static String show(Catalogue.Step step) {
    StringBuilder text = new StringBuilder();
    text.append("%d  %s\n".formatted(step.number(), step.subject()));
    SeriesCommand.lines(text, "kind", List.of(step.kind()));
    SeriesCommand.lines(text, "left", List.of(step.left()));
    SeriesCommand.lines(text, "java", step.java());
    SeriesCommand.lines(text, "evidence", step.evidence());
    return text.toString();
  }
}
