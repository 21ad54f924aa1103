// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.machine;

import org.vmemmap.architecture.planted.types.Thing;

/** Planted: the machine refers to the layer above it. */
final class LooksUp {
  Thing thing() {
    return new Thing();
  }
}
