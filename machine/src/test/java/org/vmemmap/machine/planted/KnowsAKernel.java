// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine.planted;

import java.net.URI;

/** Planted: hardware that knows more than the platform's core. */
final class KnowsAKernel {
  URI kernel() {
    return URI.create("file:///boot/vmlinuz");
  }
}
