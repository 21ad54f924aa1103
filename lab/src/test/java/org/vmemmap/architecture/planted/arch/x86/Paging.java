// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.arch.x86;

/** Well placed. */
public final class Paging {}
