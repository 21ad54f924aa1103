// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.hugetlb;

/** Well placed. */
public final class Pool {}
