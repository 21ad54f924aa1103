// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.dax;

import org.vmemmap.architecture.planted.arch.x86.Paging;

/** Planted: dax refers to an architecture. */
final class TalksToX86 {
  Paging paging() {
    return new Paging();
  }
}
