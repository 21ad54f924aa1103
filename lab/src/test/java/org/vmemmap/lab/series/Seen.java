// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

/** Observables by name, for tests of one patch. */
final class Seen {
  private Seen() {}

  /** The value of {@code observable} on the kernel after the first {@code level} patches. */
  static String at(int level, String observable) {
    return Observables.named(observable).at(new Level(level));
  }
}
