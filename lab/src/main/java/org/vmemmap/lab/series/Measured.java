// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import java.util.ArrayList;
import java.util.List;

/**
 * What a patch changes, measured on the kernel without it and on the kernel with it.
 *
 * @param observable what was measured
 * @param before the value without the patch
 * @param after the value with it
 */
public record Measured(Observable observable, String before, String after) {
  /** Measures all that each entry names, in the order of the entries. */
  public static List<List<Measured>> of(List<Catalogue.Entry> entries) {
    List<List<Measured>> all = new ArrayList<>();
    Level last = new Level(0);
    int lastNumber = 0;
    for (Catalogue.Entry entry : entries) {
      Level before = entry.number() - 1 == lastNumber ? last : new Level(entry.number() - 1);
      Level after = new Level(entry.number());
      all.add(
          entry.measured().stream()
              .map(Observables::named)
              .map(one -> new Measured(one, one.at(before), one.at(after)))
              .toList());
      last = after;
      lastNumber = entry.number();
    }
    return all;
  }
}
