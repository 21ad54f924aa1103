// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.Numbers;
import org.vmemmap.types.Series;
import picocli.CommandLine.Option;

/** The option that says which kernel runs. */
final class KernelOption {
  private static final String NAME = "--at";

  @Option(
      names = {NAME, "--profile"},
      paramLabel = "N",
      description = {
        "The kernel after the first N patches of the series, 0 to 49, or a released one: 7.1, 7.2 or"
            + " 7.3. +SWITCH after it turns on a later fix or a form that was posted and not merged,"
            + " as in 49+tails-per-node; series lists them. -N takes patch N out, whatever the others"
            + " need of it, as in 7.3-11."
      })
  @Nullable String at;

  /** The kernel that is asked for; null for none. @throws BadInput for one that there is not */
  @Nullable Series series() {
    return at == null ? null : level(NAME, at);
  }

  /** The same; with all patches when none is asked for. */
  Series seriesOrLast() {
    Series asked = series();
    return asked == null ? Series.at(Series.LAST) : asked;
  }

  /** What a kernel of the series is called. */
  static String name(Series series) {
    return (series.name().contains(".") ? "Linux " : "level ") + series.name();
  }

  /** A level or profile by its name, with its switches. @throws BadInput for another */
  static Series level(String option, String text) {
    if (text.chars().skip(1).noneMatch(c -> ".+-".indexOf(c) >= 0)) {
      return Series.at(Numbers.parse(option, text, 0, Series.LAST));
    }
    try {
      return Series.named(text);
    } catch (IllegalArgumentException e) {
      throw new BadInput(
          option + " " + text + ": wanted 0 to 49, 7.1, 7.2 or 7.3, with -N for a patch of it and +SWITCH");
    }
  }
}
