// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.lab;

import org.vmemmap.architecture.planted.lab.cli.Screen;

/** Planted: with Screen, a cycle of two packages. */
public final class Bench {
  Screen screen() {
    return new Screen();
  }
}
