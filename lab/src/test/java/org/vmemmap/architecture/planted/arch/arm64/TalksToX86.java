// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.arch.arm64;

import org.vmemmap.architecture.planted.arch.x86.Paging;

/** Planted: an architecture refers to another. */
final class TalksToX86 {
  Paging paging() {
    return new Paging();
  }
}
