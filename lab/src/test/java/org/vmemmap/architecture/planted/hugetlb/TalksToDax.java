// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.hugetlb;

import org.vmemmap.architecture.planted.dax.Device;

/** Planted: hugetlb refers to its neighbour. */
final class TalksToDax {
  Device device() {
    return new Device();
  }
}
