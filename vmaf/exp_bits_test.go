package vmaf

// expBits64 are arguments and results of exp, the results as the C library gave them.
var expBits64 = []struct{ x, want float64 }{
	{-0.5, 0x1.368b2fc6f960ap-1},
	{-0.040000000000000001, 0x1.ebec97e700b8dp-1},
	{-0.001, 0x1.ff7cfe56f1a9ep-1},
	{-3.25, 0x1.3da368521902dp-5},
	{-7.7000000000000002, 0x1.dad2df0f5035dp-12},
	{-0.123456789, 0x1.c48946a8fcf96p-1},
	{1, 0x1.5bf0a8b145769p+1},
	{-1, 0x1.78b56362cef38p-2},
	{0.69314718055994529, 0x1p+1},
	{-20.125, 0x1.f3fe0cb68b20cp-30},
	{-100.3, 0x1.3aab0c9589e7bp-145},
	{-0.0078125, 0x1.fc03fd56aa225p-1},
	{5.5, 0x1.e96244f21bbf6p+7},
	{-0.010999999999999999, 0x1.fa661bde39c7bp-1},
	{-1.0000000000000001e-09, 0x1.fffffff768fa1p-1},
	{-300.69999999999999, 0x1.225720438e36dp-434},
	{300.69999999999999, 0x1.c3714f17ae743p+433},
}
