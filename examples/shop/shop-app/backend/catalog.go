// SPDX-License-Identifier: Apache-2.0

package main

// Text is one text in the languages of the shop.
type Text struct {
	EN string `json:"en"`
	KO string `json:"ko"`
}

// Product is what the shop sells. Price is in Korean won, which has no smaller unit.
type Product struct {
	ID    string `json:"id"`
	Name  Text   `json:"name"`
	About Text   `json:"about"`
	Price int    `json:"price"`
	Tag   string `json:"tag,omitempty"`
}

var catalog = []Product{
	{"moon-jar", Text{"Moon jar", "달항아리"}, Text{"White porcelain, thrown in two halves and joined by hand.", "두 사발을 맞붙여 빚은 순백의 백자."}, 189000, "new"},
	{"teapot", Text{"Celadon teapot", "청자 주전자"}, Text{"Jade-green glaze with a fine crackle. Holds two cups.", "잔잔한 빙렬이 흐르는 비색 유약. 두 잔 분량."}, 84000, ""},
	{"tea-cup", Text{"Tea cup", "찻잔"}, Text{"Thin rim, warm in the palm.", "얇은 전, 손안에 따뜻하게."}, 24000, ""},
	{"rice-bowl", Text{"Rice bowl", "밥그릇"}, Text{"Speckled stoneware for every day.", "매일 쓰는 점박이 사기그릇."}, 32000, "loved"},
	{"tray", Text{"Walnut tray", "호두나무 소반"}, Text{"Solid walnut, finished with oil.", "오일로 마감한 통호두나무."}, 76000, ""},
	{"incense", Text{"Incense stone", "향꽂이"}, Text{"A river pebble of clay, for one quiet hour.", "고요한 한 시간을 위한 흙 조약돌."}, 19000, ""},
	{"vase", Text{"Bud vase", "꽃병"}, Text{"For the single branch you brought home.", "길에서 데려온 한 가지를 위해."}, 46000, ""},
	{"tea", Text{"Boseong green tea", "보성 녹차"}, Text{"First flush, hand-picked in April. 40 g.", "사월에 손으로 딴 첫물차. 40 g."}, 28000, "loved"},
}

func findProduct(id string) (Product, bool) {
	for _, product := range catalog {
		if product.ID == id {
			return product, true
		}
	}
	return Product{}, false
}
