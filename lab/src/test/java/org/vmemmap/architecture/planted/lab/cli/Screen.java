// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.lab.cli;

import org.vmemmap.architecture.planted.lab.Bench;

/** Well placed but for the cycle: the command line may print. */
public final class Screen {
  void print(Bench bench) {
    System.out.println("printed");
  }
}
