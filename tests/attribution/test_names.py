"""A compiler's names as they stand in the source: C++, both schemes of Rust, Cython; and what is nobody's own code."""

from __future__ import annotations

import pytest

from soak.attribution.native.names import comes_from_cython_source, is_of_the_language, readable


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("malloc", "malloc"),
        ("_Znwm", "operator new(unsigned long)"),
        ("_ZNK6frames6Header4sizeEi", "frames::Header::size(int) const"),
        ("_ZN3foo3barEv.isra.0", "foo::bar()"),
        ("decode.constprop.0.cold", "decode"),
        ("_ZN3foo3barEv.localalias.lto_priv.0", "foo::bar()"),
        ("_ZN3foo3barEv.avx2.lto_priv.0", "foo::bar() (.avx2)"),
        ("_Zno name", "_Zno name"),
    ],
)
def test_c_and_cpp_are_written_as_in_the_source(symbol: str, name: str) -> None:
    """Also copies that the compiler made; what is no mangled name stays as it is."""
    assert readable(symbol) == name


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("_ZN5rleak5codec6decode17h54dcaceffc1b4acdE", "rleak::codec::decode"),
        ("_ZN5alloc5boxed12Box$LT$T$GT$3new17hbcdecd3f1f491435E", "alloc::boxed::Box<T>::new"),
        (
            "_ZN4core3ops8function6FnOnce40call_once$u7b$$u7b$vtable.shim$u7d$$u7d$17h00112233aabbccddE.llvm.84179",
            "core::ops::function::FnOnce::call_once{{vtable.shim}}",
        ),
        (
            (
                "_ZN4pyo35types5tuple62_$LT$impl$u20$pyo3..ToPyObject$u20$for$u20$$LP$T0$C$T1$RP$$GT$"
                "9to_object17h54dcaceffc1b4acdE"
            ),
            "pyo3::types::tuple::<impl pyo3::ToPyObject for (T0,T1)>::to_object",
        ),
        ("_RNvMs_NtCs1_5rleak5codecNtB4_5Cache8remember", "<rleak::codec::Cache>::remember"),
        ("_RNvNtCslNYArtu3iFV_5alloc5alloc5alloc", "alloc::alloc::alloc"),
    ],
)
def test_rust_is_written_as_in_the_source(symbol: str, name: str) -> None:
    """Without the hash, which differs in every build, a leak has the same name in all builds."""
    assert readable(symbol) == name


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("__pyx_f_4pack_5leaky_make_buffer", "pack.leaky.make_buffer"),
        ("__pyx_f_4pack_5leaky_make_buffer.constprop.0", "pack.leaky.make_buffer"),
        ("__pyx_pf_4pack_5leaky_5Codec_2encode", "pack.leaky.Codec.encode"),
        ("__pyx_pw_4pack_5leaky_5Codec_3encode", "pack.leaky.Codec.encode (wrapper)"),
        ("__pyx_pf_7msgpack_9_cmsgpack_8Unpacker_22__next__", "msgpack._cmsgpack.Unpacker.__next__"),
        (
            "__pyx_f_7msgpack_9_cmsgpack_8Unpacker__unpack(__pyx_obj*, int (*)(long))",
            "msgpack._cmsgpack.Unpacker._unpack",
        ),
        ("__pyx_v_4pack_5leaky__seen", "pack.leaky._seen"),
        ("__pyx_tp_dealloc_4pack_5leaky_Codec", "pack.leaky.Codec (tp_dealloc)"),
        ("__pyx_memoryview_new", "__pyx_memoryview_new"),
        ("__Pyx_AddTraceback", "__Pyx_AddTraceback"),
    ],
)
def test_cython_is_written_as_in_the_source(symbol: str, name: str) -> None:
    """Module, class and function; what Cython brings along keeps its name."""
    assert readable(symbol) == name


@pytest.mark.parametrize(
    ("function", "file"),
    [
        ("alloc::alloc::alloc", None),
        ("<alloc::vec::Vec<T> as core::clone::Clone>::clone", None),
        ("<T as alloc::slice::hack::ConvertVec>::to_vec", None),
        ("hashbrown::raw::RawTable<T,A>::reserve_rehash", None),
        ("__rust_alloc", None),
        ("operator new(unsigned long)", None),
        ("void std::vector<int, std::allocator<int>>::_M_realloc_insert<int>(int&&)", None),
        ("__Pyx_AddTraceback", "/src/codec.c"),
        ("grow_one", "/rustc/59807616e1fa25/library/alloc/src/raw_vec/mod.rs"),
        ("push_back", "/usr/include/c++/12/bits/stl_vector.h"),
    ],
)
def test_what_all_code_of_a_language_goes_through_is_nobodys_place(function: str, file: str | None) -> None:
    """All code allocates there, so the place is the caller."""
    assert is_of_the_language(function, file)


@pytest.mark.parametrize(
    "function",
    ["decode", "rleak::codec::decode", "<rleak::Frame as core::clone::Clone>::clone", "coreutils::run", "stdin_read"],
)
def test_a_persons_own_code_is_not_taken_for_the_languages(function: str) -> None:
    """Its name may look similar, or it may implement an interface of the library."""
    assert not is_of_the_language(function, "/src/decode.rs")


@pytest.mark.parametrize(
    ("symbol", "written"),
    [
        ("__pyx_pw_4pack_5leaky_1f", True),
        ("_ZL24__pyx_f_4pack_5leaky_foo", False),
        ("__pyx_f_4pack_5leaky_f(int)", True),
        ("__Pyx_AddTraceback", False),
        ("__pyx_tp_new_4pack_5leaky_Codec", False),
        ("__pyx_memoryview_new", False),
    ],
)
def test_only_functions_that_were_written_in_cython_have_statements_of_its_source(symbol: str, written: bool) -> None:
    """The rest of the generated file would get the line of the last statement before it."""
    assert comes_from_cython_source(symbol) is written
